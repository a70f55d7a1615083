//! What pseudo-anomalies suit the categories of MVTec AD and MPDD: the authors' table.

use crate::anomalies::Pasting;
use crate::config::DescriptorKind;
use crate::{Error, Result};

/// How pseudo-anomalies are made in pictures of a category.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Category {
    pub(super) name: &'static str,
    pub(super) pasting: Pasting,
}

const FINE: [f64; 2] = [0.01, 0.05];
const LONG: [f64; 2] = [0.01, 0.1];
const LARGE: [f64; 2] = [0.03, 0.4];

impl Category {
    /// One large rectangle anywhere, for any other part.
    pub const OTHER: Self = Self { name: "", pasting: Pasting::LARGE };

    const KNOWN: [Self; 21] = [
        Self::new("bottle", LARGE, LARGE, 1).on([200.0, 60.0, 0.7]),
        Self::new("cable", FINE, FINE, 3),
        Self::new("capsule", FINE, FINE, 1).on([200.0, 60.0, 0.7]),
        Self::new("carpet", LARGE, LARGE, 2),
        Self::new("grid", FINE, LONG, 3),
        Self::new("hazelnut", FINE, LONG, 3).on([20.0, 20.0, 0.7]),
        Self::new("leather", FINE, FINE, 3),
        Self::new("metal_nut", [0.05, 0.4], [0.05, 0.4], 1).on([20.0, 20.0, 0.5]),
        Self::new("pill", FINE, LONG, 2).on([20.0, 20.0, 0.7]),
        Self::new("screw", FINE, FINE, 1).on([200.0, 60.0, 0.5]),
        Self::new("tile", FINE, LONG, 1),
        Self::new("toothbrush", FINE, FINE, 3).on([20.0, 20.0, 0.25]),
        Self::new("transistor", LARGE, LARGE, 3),
        Self::new("wood", FINE, FINE, 3),
        Self::new("zipper", LARGE, LARGE, 3).on([200.0, 60.0, 0.7]),
        Self::new("bracket_black", FINE, FINE, 1),
        Self::new("bracket_brown", FINE, FINE, 3),
        Self::new("bracket_white", LARGE, LARGE, 1).on([130.0, 60.0, 0.7]),
        Self::new("connector", LARGE, LARGE, 1),
        Self::new("metal_plate", LARGE, LARGE, 1),
        Self::new("tubes", LARGE, LARGE, 1),
    ];

    const fn new(name: &'static str, heights: [f64; 2], widths: [f64; 2], patches: u32) -> Self {
        Self { name, pasting: Pasting { heights, widths, patches, ground: None } }
    }

    const fn on(self, ground: [f64; 3]) -> Self {
        Self { pasting: Pasting { ground: Some(ground), ..self.pasting }, ..self }
    }

    /// The category of a name.
    ///
    /// # Errors
    /// [`Error::Input`] names the known ones.
    pub fn by_name(name: &str) -> Result<Self> {
        let unknown = || Error::unknown("category", name, &Self::KNOWN.map(|category| category.name));
        Self::KNOWN.into_iter().find(|category| category.name == name).ok_or_else(unknown)
    }

    /// The descriptor that the authors give it: theirs of parts that lie at any angle have the rotation kind.
    pub fn descriptor(&self) -> DescriptorKind {
        const ROTATION: [&str; 5] = ["grid", "screw", "bracket_black", "bracket_brown", "tubes"];
        if ROTATION.contains(&self.name) { DescriptorKind::Rotation } else { DescriptorKind::Plain }
    }

    /// Its name, empty for any other part.
    pub fn name(&self) -> &'static str {
        self.name
    }
}
