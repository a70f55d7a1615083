//! The ways in which a photograph is shown: turned, and which of its positions are then still the photograph's.

use crate::ops::Pose;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::ops::Not;

/// Which orientations good parts may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Poses {
    /// Decided from the photographs: whether turning one brings it nearer to the others. From fewer than four it cannot
    /// be told, so any angle is taken for good.
    #[default]
    Auto,
    /// Parts always lie as photographed.
    Fixed,
    /// Parts lie as photographed, or mirrored left to right, upside down, or both, which is a half turn: parts that are
    /// fed in rows and have no face or way of their own.
    Flips,
    /// Parts may be turned by any angle.
    Any,
}

impl Poses {
    /// The choices there are.
    pub const ALL: [Self; 4] = [Self::Auto, Self::Fixed, Self::Flips, Self::Any];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Fixed => "fixed",
            Self::Flips => "flips",
            Self::Any => "any",
        }
    }

    /// The choice of this name.
    ///
    /// # Errors
    /// [`Error::Input`] with the known names.
    pub fn by_name(name: &str) -> Result<Self> {
        let unknown = || Error::unknown("poses", name, &Self::ALL.map(Self::name));
        Self::ALL.into_iter().find(|poses| poses.name() == name).ok_or_else(unknown)
    }
}

/// What was decided about the orientations of good parts, and from what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PoseDecision {
    /// Whether parts may be turned by any angle.
    pub any: bool,
    /// Whether parts may be mirrored left to right, lie upside down, or both: only where the user said so.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub flips: bool,
    /// The share of pairs of photographs in which turning the one by a quarter or a sixth, or twice that, to either
    /// side brought it nearer to the other than leaving it or turning it by half; `None` where it was not asked.
    pub nearer_when_turned: Option<f64>,
    /// Whether there were too few photographs to tell, so that any angle is taken for good. A part that lies as none
    /// of the photographs does would fail otherwise.
    #[serde(default)]
    pub assumed: bool,
}

/// Photographs from which on it can be told how parts lie. Of parts that may lie at any angle two lie alike by chance
/// in about a third of all cases, and two or three photographs make few pairs.
const ENOUGH: usize = 4;
/// Share of pairs that must come nearer before parts are taken to lie at any angle.
const SHARE_OF_PAIRS: f64 = 0.25;

impl PoseDecision {
    /// The decision from the mean distances of pairs of photographs, the second turned by [`TURNS`].
    pub(super) fn of_pairs(pairs: &[[f64; TURNS.len()]]) -> Self {
        let least = |distances: &[f64]| distances.iter().copied().fold(f64::INFINITY, f64::min);
        let is_nearer = |pair: &&[f64; TURNS.len()]| least(&pair[2..]) < least(&pair[..2]);
        let nearer = pairs.iter().filter(is_nearer).count();
        let share = nearer as f64 / pairs.len() as f64;
        Self { any: share >= SHARE_OF_PAIRS, nearer_when_turned: Some(share), ..Self::default() }
    }

    /// The decision that needs no look at the photographs, of which there are `count`: the user's, or the one that is
    /// right however parts lie where there are too few.
    pub(super) fn without_looking(asked: Poses, count: usize) -> Option<Self> {
        match asked {
            Poses::Auto => (count < ENOUGH).then_some(Self { assumed: true, ..Self::told(Poses::Any) }),
            told => Some(Self::told(told)),
        }
    }

    /// What the user said.
    pub(super) fn told(poses: Poses) -> Self {
        Self { any: poses == Poses::Any, flips: poses == Poses::Flips, ..Self::default() }
    }
}

/// A way to show a photograph.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub pose: Pose,
    /// Positions of the grid, row-major, that show the photograph and nothing from beyond its border.
    pub valid: Vec<bool>,
}

/// Share of the side within which of the photograph's border a turned photograph's position is left out: its features
/// would see what is not there.
const MARGIN: f64 = 0.06;
/// Steps of a whole turn for parts that lie at any angle.
const STEPS: u32 = 12;
/// Degrees that tell whether parts do, behind the two in which parts that are fed in rows lie. Quarters need no
/// resampling, so that nothing but the turn counts; sixths come near to more angles.
pub(super) const TURNS: [f64; 8] = [0.0, 180.0, 90.0, 270.0, 60.0, 120.0, 240.0, 300.0];

impl View {
    /// A square photograph of `side` pixels, turned about its middle by `degrees`.
    pub(super) fn turned(degrees: f64, side: u32, grid: u32) -> Self {
        let (sine, cosine) = quarter_exact(degrees);
        let middle = f64::from(side) / 2.0;
        let across = [cosine, sine, middle - middle * (cosine + sine)];
        let down = [-sine, cosine, middle - middle * (cosine - sine)];
        let is_exact = sine == 0.0 || cosine == 0.0;
        let margin = if is_exact { 0.0 } else { MARGIN * f64::from(side) };
        let inside = |value: f64| (margin..=f64::from(side) - margin).contains(&value);
        let cell = f64::from(side) / f64::from(grid);
        let valid = (0..grid * grid).map(|position| {
            let centre = |index: u32| (f64::from(index) + 0.5) * cell;
            let (x, y) = (centre(position % grid), centre(position / grid));
            [across, down].iter().all(|[a, b, c]| inside(a * x + b * y + c))
        });
        let valid = valid.collect();
        let row = |values: [f64; 3]| values.map(|value| value as f32);
        Self { pose: Pose { across: row(across), gain: 1.0, down: row(down), offset: 0.0 }, valid }
    }

    /// A photograph as it is, mirrored left to right, upside down, and both, which is a half turn.
    fn flips(side: u32, grid: u32) -> Vec<Self> {
        let upright = Self::turned(0.0, side, grid);
        let flipped = |across: bool, down: bool| {
            let mut view = upright.clone();
            for (row, axis, flips) in [(&mut view.pose.across, 0, across), (&mut view.pose.down, 1, down)] {
                if flips {
                    (row[axis], row[2]) = (-1.0, side as f32);
                }
            }
            view
        };
        [(false, false), (true, false), (false, true), (true, true)].map(|(across, down)| flipped(across, down)).into()
    }

    /// A photograph in steps of a whole turn, the first as it is.
    pub(super) fn turns(steps: u32, side: u32, grid: u32) -> Vec<Self> {
        (0..steps).map(|step| Self::turned(f64::from(step) * 360.0 / f64::from(steps), side, grid)).collect()
    }

    /// The views that stand for other parts where there is a single photograph: shifted by 2 % and lit by 5 % more or
    /// less.
    pub(super) fn slightly_altered(side: u32, grid: u32) -> Vec<Self> {
        let shift = 0.02 * side as f32;
        let altered = |right: f32, down: f32, gain: f32| {
            let mut view = Self::turned(0.0, side, grid);
            view.pose.across[2] += right * shift;
            view.pose.down[2] += down * shift;
            view.pose.gain = gain;
            view
        };
        [(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)]
            .into_iter()
            .flat_map(|(right, down)| [0.95, 1.05].map(|gain| altered(right, down, gain)))
            .collect()
    }

    /// The views of a good part that become prototypes.
    pub(super) fn of_good_parts(decision: PoseDecision, side: u32, grid: u32) -> Vec<Self> {
        match decision.flips {
            true => Self::flips(side, grid),
            false => Self::turns(if decision.any { STEPS } else { 1 }, side, grid),
        }
    }
}

/// Sine and cosine, without rounding for quarter turns.
fn quarter_exact(degrees: f64) -> (f64, f64) {
    match degrees.rem_euclid(360.0) {
        0.0 => (0.0, 1.0),
        90.0 => (1.0, 0.0),
        180.0 => (0.0, -1.0),
        270.0 => (-1.0, 0.0),
        other => other.to_radians().sin_cos(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::image::{GrayImage, Luma, imageops};

    fn source(view: &View, x: f32, y: f32) -> [f32; 2] {
        [view.pose.across, view.pose.down].map(|[a, b, c]| a * x + b * y + c)
    }

    #[test]
    fn turns_about_the_middle() {
        let quarter = View::turned(90.0, 8, 4);
        assert_eq!(source(&quarter, 4.0, 4.0), [4.0, 4.0]);
        assert_eq!(source(&quarter, 0.5, 0.5), [0.5, 7.5], "the upper left shows the lower left: clockwise");
        assert!(quarter.valid.iter().all(|valid| *valid));
        let eighth = View::turned(45.0, 100, 10);
        let [x, y] = source(&eighth, 60.0, 60.0);
        assert!((x - 64.142_14).abs() < 1e-3 && (y - 50.0).abs() < 1e-3, "{x}, {y}");
    }

    /// As the crate `image` flips pictures.
    #[test]
    fn flips_are_those_of_pictures() {
        let picture = GrayImage::from_fn(6, 6, |x, y| Luma([(10 * x + y) as u8]));
        let upside_down = imageops::flip_vertical(&picture);
        let expected = [
            picture.clone(),
            imageops::flip_horizontal(&picture),
            upside_down.clone(),
            imageops::flip_horizontal(&upside_down),
        ];
        let views = View::of_good_parts(PoseDecision::told(Poses::Flips), 6, 3);
        let shown = |view: &View| {
            GrayImage::from_fn(6, 6, |x, y| {
                let [x, y] = source(view, x as f32 + 0.5, y as f32 + 0.5);
                *picture.get_pixel(x as u32, y as u32)
            })
        };
        assert_eq!(views.iter().map(shown).collect::<Vec<_>>(), expected);
        assert!(views.iter().all(|view| view.valid == [true; 9]));
    }

    #[test]
    fn corners_of_turned_photographs_are_left_out() {
        let eighth = View::turned(45.0, 100, 10);
        let valid = |x: usize, y: usize| eighth.valid[y * 10 + x];
        assert!(!valid(0, 0) && !valid(9, 0) && !valid(0, 9) && !valid(9, 9));
        assert!(valid(5, 5) && valid(5, 2));
        assert!(valid(5, 1) && !valid(1, 1));
    }

    #[test]
    fn a_quarter_of_the_pairs_decides() {
        let (upright, turned) = ([1.0, 1.5, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0], [2.0, 3.0, 3.0, 2.0, 1.0, 3.0, 3.0, 3.0]);
        let decide = |turns: usize| {
            let pairs: Vec<[f64; TURNS.len()]> =
                (0..8).map(|pair| if pair < turns { turned } else { upright }).collect();
            PoseDecision::of_pairs(&pairs)
        };
        let decided = |any, share| PoseDecision { any, nearer_when_turned: Some(share), ..Default::default() };
        assert_eq!((decide(1), decide(2)), (decided(false, 0.125), decided(true, 0.25)));
    }

    #[test]
    fn too_few_photographs_may_show_parts_at_any_angle() {
        let decide = PoseDecision::without_looking;
        let assumed = PoseDecision { any: true, assumed: true, ..Default::default() };
        assert_eq!([1, 3].map(|count| decide(Poses::Auto, count)), [Some(assumed); 2]);
        assert_eq!(decide(Poses::Auto, 4), None);
        let told = |poses| decide(poses, 1).map(|decision| (decision.any, decision.flips, decision.assumed));
        let expected = [(false, false, false), (false, true, false), (true, false, false)];
        assert_eq!([Poses::Fixed, Poses::Flips, Poses::Any].map(told), expected.map(Some));
    }
}
