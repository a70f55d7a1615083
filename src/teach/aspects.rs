//! Photographs of another shape than the others: all are stretched to a square, so what these show is distorted
//! otherwise.

/// A photograph whose aspect ratio is another than that of most.
#[derive(Clone, Debug, PartialEq)]
pub struct OddAspect {
    /// The photograph's name.
    pub name: String,
    /// How much wider it is than most photographs are, for its height: 1.25 is a quarter wider, 0.8 a fifth narrower.
    pub wider: f64,
}

/// Aspect ratios whose quotient is beyond this differ.
const DIFFERS: f64 = 1.1;

/// Which photographs differ in width over height from the middle one.
pub(super) fn odd_aspects<'a>(photographs: impl Iterator<Item = (&'a str, f64)> + Clone) -> Vec<OddAspect> {
    let mut rising: Vec<f64> = photographs.clone().map(|(_, aspect)| aspect).collect();
    rising.sort_by(f64::total_cmp);
    let Some(middle) = rising.get(rising.len() / 2) else { return Vec::new() };
    let relative = photographs.map(|(name, aspect)| (name, aspect / middle));
    let odd = relative.filter(|(_, wider)| wider.max(1.0 / wider) > DIFFERS);
    odd.map(|(name, wider)| OddAspect { name: name.to_owned(), wider }).collect()
}

/// What a user should know of such photographs, in a sentence; `None` where there are none.
pub(super) fn warning(odd: &[OddAspect]) -> Option<String> {
    // More would fill a terminal.
    const NAMED: usize = 5;
    let describe = |OddAspect { name, wider }: &OddAspect| match *wider {
        wider if wider > 1.0 => format!("{name} is {:.0} % wider", 100.0 * (wider - 1.0)),
        wider => format!("{name} is {:.0} % narrower", 100.0 * (1.0 - wider)),
    };
    let mut named: Vec<String> = odd.iter().take(NAMED).map(describe).collect();
    if odd.len() > NAMED {
        named.push(format!("{} more differ", odd.len() - NAMED));
    }
    (!odd.is_empty()).then(|| {
        format!(
            "for its height {} than the other photographs; each is stretched to a square, so parts look different in \
             it: crop all to one shape and teach again, and inspect pictures of that shape",
            named.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: of 4:3, 16:9, 1.4, 1:1 and 4:3 the middle, in rising order, is 4:3. Of that 16:9 is 4/3, 1:1 is 3/4,
    /// and 1.4 is 5 % wider.
    #[test]
    fn other_shapes_are_named() {
        let photographs = [("a", 4.0 / 3.0), ("b", 16.0 / 9.0), ("c", 1.4), ("d", 1.0), ("e", 4.0 / 3.0)];
        let odd = odd_aspects(photographs.into_iter());
        let names: Vec<&str> = odd.iter().map(|odd| odd.name.as_str()).collect();
        assert_eq!(names, ["b", "d"]);
        assert!((odd[0].wider - 4.0 / 3.0).abs() < 1e-12 && (odd[1].wider - 0.75).abs() < 1e-12, "{odd:?}");
        let words = warning(&odd).expect("two differ");
        assert!(words.contains("b is 33 % wider, d is 25 % narrower"), "{words}");
        assert_eq!((odd_aspects(photographs[..1].iter().copied()), warning(&[])), (Vec::new(), None));
        let many = vec![odd[0].clone(); 8];
        assert!(warning(&many).is_some_and(|words| words.contains("3 more differ")));
    }
}
