//! From a photograph to what is wrong with it.

use super::unlike::is_unlike;
use super::{
    Alteration, Calibration, Findings, Fingerprint, Framing, GoodPart, MapSummary, Placement, Region, regions,
    regions_in_rows,
};
use crate::image::{JoinedMap, Rect, RgbImage};
use crate::{Detection, Error, Model, Result, Session};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use web_time::Instant;

/// A model that is ready to inspect photographs: how they are shown to it, the memory to run it, and what its scores
/// mean.
///
/// ```no_run
/// use pcsnet::inspect::{Calibration, Inspector};
/// # async fn example(weights: &pcsnet::weights::Weights, model: &pcsnet::Model) -> pcsnet::Result<()> {
/// let calibration = Calibration::from_metadata(&weights.metadata())?;
/// let inspector = Inspector::new(model, calibration, 1).await?;
/// let photograph = pcsnet::image::open("part.png")?;
/// let inspection = inspector.inspect(&photograph).await?;
/// let findings = inspection.findings(inspector.calibration())?;
/// println!("score {}, {:?}, {:?}", findings.score, findings.verdict, findings.regions);
/// let overlay = findings.overlay(&photograph)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Inspector {
    session: Arc<Session>,
    framing: Framing,
    calibration: Calibration,
}

impl fmt::Debug for Inspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { framing, calibration, .. } = self;
        f.debug_struct("Inspector").field("framing", framing).field("calibration", calibration).finish_non_exhaustive()
    }
}

impl Inspector {
    /// Prepares a model for up to `batch` inputs at once (tiles of one photograph), in the framing that its calibration
    /// was made for.
    ///
    /// # Errors
    /// Those of [`Model::session`].
    pub async fn new(model: &Model, calibration: Calibration, batch: u32) -> Result<Self> {
        let framing = Framing::of(model, &calibration);
        Ok(Self { session: Arc::new(model.session(batch).await?), framing, calibration })
    }

    /// An inspector of this one's model in another framing. A threshold and a range of colours hold in the framing in
    /// which they were found alone; where this is another one, the new inspector's calibration has neither.
    pub fn with_framing(&self, framing: Framing) -> Self {
        let uncalibrated = Calibration { tiles: framing.tiles, ..Calibration::default() };
        let calibration = if framing == self.framing { self.calibration } else { uncalibrated };
        Self { session: Arc::clone(&self.session), framing, calibration }
    }

    /// An inspector of this one's model with what a calibration in this framing found.
    pub fn with_calibration(&self, calibration: Calibration) -> Self {
        Self { session: Arc::clone(&self.session), framing: self.framing, calibration }
    }

    /// The memory that the model runs in.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// How photographs are shown to the network.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// What the model's scores mean in this framing.
    pub fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// Inspects a photograph of a good part once as it is and once for each alteration, for a calibration.
    ///
    /// # Errors
    /// As [`Inspector::inspect`].
    pub async fn survey(&self, photograph: &RgbImage, alterations: &[Alteration]) -> Result<GoodPart> {
        let mut summaries = vec![self.inspect(photograph).await?.summary()];
        for alteration in alterations {
            summaries.push(self.inspect(&alteration.apply(photograph)).await?.summary());
        }
        Ok(GoodPart { fingerprint: Fingerprint::of(photograph), summaries })
    }

    /// Inspects a photograph of any size, as many tiles at once as the batch takes.
    ///
    /// # Errors
    /// Those of [`Framing::place`] and [`Session::run`], and [`Error::Input`] where the network gives values that are
    /// no finite numbers.
    pub async fn inspect(&self, photograph: &RgbImage) -> Result<Inspection> {
        let placement = self.framing.place(photograph.dimensions())?;
        let inputs = placement.inputs();
        let mut gathered = Gathered::new(placement.clone());
        let batch = self.session.batch() as usize;
        for first in (0..inputs).step_by(batch) {
            let together = first..(first + batch).min(inputs);
            let start = Instant::now();
            let images: Vec<_> = together.map(|index| placement.input(photograph, index)).collect::<Result<_>>()?;
            gathered.times.preprocess += start.elapsed();
            let start = Instant::now();
            let detections = self.session.run(&images).await?;
            gathered.times.network += start.elapsed();
            detections.into_iter().try_for_each(|detection| gathered.add(detection))?;
        }
        gathered.finish()
    }
}

/// How long the parts of an inspection took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InspectionTimes {
    /// Making the network's inputs of the photograph.
    pub preprocess: Duration,
    /// Running the network, with the ways to the device and back.
    pub network: Duration,
}

/// What the network found in the inputs of one photograph, until it has found something in all.
#[derive(Clone, Debug)]
pub struct Gathered {
    placement: Placement,
    map: GatheredMap,
    /// How long it has taken so far; kept by whoever makes the inputs and runs the network.
    pub times: InspectionTimes,
}

#[derive(Clone, Debug)]
enum GatheredMap {
    Whole(Option<Detection>),
    Tiled(JoinedMap),
}

impl Gathered {
    /// The gatherer of a photograph of whose inputs none was inspected yet.
    pub fn new(placement: Placement) -> Self {
        let map = match &placement {
            Placement::Whole { .. } => GatheredMap::Whole(None),
            Placement::Tiled(tiles) => GatheredMap::Tiled(JoinedMap::new(tiles.clone())),
        };
        Self { placement, map, times: InspectionTimes::default() }
    }

    /// Adds what was found in the next input.
    ///
    /// # Errors
    /// [`Error::Input`] for more detections than the photograph has inputs, or a map of another size.
    pub fn add(&mut self, detection: Detection) -> Result<()> {
        match &mut self.map {
            GatheredMap::Tiled(map) => map.add(&detection.map),
            GatheredMap::Whole(found) => match found.replace(detection) {
                None => Ok(()),
                Some(_) => Err(wrong_count(2)),
            },
        }
    }

    /// One score and one map for the photograph.
    ///
    /// # Errors
    /// [`Error::Input`] where detections are missing, or the network gave values that are no finite numbers.
    pub fn finish(self) -> Result<Inspection> {
        let (score, map) = match self.map {
            GatheredMap::Whole(found) => found.map(|found| (found.score, found.map)).ok_or_else(|| wrong_count(0))?,
            GatheredMap::Tiled(map) => {
                let map = map.finish()?;
                (map.iter().copied().fold(f32::NEG_INFINITY, f32::max), map)
            }
        };
        if let Some(value) = map.iter().chain([&score]).find(|value| !value.is_finite()) {
            return Err(Error::Input {
                what: "the network's map".to_owned(),
                expected: "finite numbers".to_owned(),
                found: value.to_string(),
            });
        }
        Ok(Inspection { placement: self.placement, score, map, times: self.times })
    }
}

fn wrong_count(found: usize) -> Error {
    Error::Input {
        what: "detections in a whole photograph".to_owned(),
        expected: "1".to_owned(),
        found: found.to_string(),
    }
}

/// What the network found in one photograph.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// Where the network's inputs lay in the photograph.
    pub placement: Placement,
    /// The largest value of the map.
    pub score: f32,
    /// The anomaly map, row-major, of [`Placement::map_dimensions`]. Larger is more anomalous.
    pub map: Vec<f32>,
    /// How long it took.
    pub times: InspectionTimes,
}

impl Inspection {
    /// Takes a part of the photograph out of the map and the score, as not inspected: what a damaged file lacks. With
    /// it go the values nearby, a sixteenth of the map's sides, for the network saw the part's edge there. Where
    /// nothing is left, the score is no finite number.
    pub fn leave_out(&mut self, part: Rect) {
        let (photograph, map) = (self.placement.dimensions(), self.placement.map_dimensions());
        let (columns, rows) = match &self.placement {
            Placement::Whole { frame, .. } => {
                let [columns, rows] = frame.placement();
                (columns, rows)
            }
            Placement::Tiled(_) => ([1.0, 0.0], [1.0, 0.0]),
        };
        let hidden = |start: u32, length: u32, whole: u32, [scale, offset]: [f64; 2], side: u32| {
            // Nothing lies beyond the photograph's edge, so there needs to be no margin either.
            let margin = |is_edge: bool| if is_edge { 0.0 } else { f64::from(side) / 16.0 };
            let low = f64::from(start) * scale + offset - margin(start == 0);
            let high = f64::from(start + length) * scale + offset + margin(start + length == whole);
            low.floor().clamp(0.0, f64::from(side)) as usize..high.ceil().clamp(0.0, f64::from(side)) as usize
        };
        let columns = hidden(part.x, part.width, photograph.0, columns, map.0);
        for row in hidden(part.y, part.height, photograph.1, rows, map.1) {
            self.map[row * map.0 as usize..][columns.clone()].fill(f32::NAN);
        }
        self.score = self.map.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    }

    /// What becomes of the photograph, in its own frame.
    ///
    /// # Errors
    /// [`Error::Input`] for a map that does not fit the placement.
    pub fn findings(&self, calibration: &Calibration) -> Result<Findings<'_>> {
        Findings::of(&self.placement, self.score, &self.map, calibration)
    }

    /// The regions in which the map is above `threshold`, in the photograph's pixels, see [`regions`].
    ///
    /// # Errors
    /// The same as of [`Inspection::findings`].
    pub fn regions(&self, threshold: f32) -> Result<Vec<Region>> {
        // Nothing is above it, so the map need not be brought to the photograph's size.
        if self.score <= threshold {
            return Ok(Vec::new());
        }
        match &self.placement {
            Placement::Whole { frame, .. } => Ok(regions_in_rows(frame.original_rows(&self.map)?, threshold)),
            Placement::Tiled(tiles) => regions(&self.map, tiles.dimensions().0 as usize, threshold),
        }
    }

    /// Whether the photograph shows something else than the parts that the model knows: another part, another view of
    /// it, or none. Even the tenth of the map that is most like good parts is then less like them than they themselves
    /// commonly are. Scores and regions say little of such a photograph. `None` where the calibration, which is to be
    /// the model's own, has no threshold, or no range of colours that tells what is common in good parts.
    pub fn is_unlike(&self, calibration: &Calibration) -> Option<bool> {
        is_unlike(&self.map, calibration)
    }

    /// The few figures that a calibration is made from.
    pub fn summary(&self) -> MapSummary {
        MapSummary::of(self.score, &self.map)
    }
}
