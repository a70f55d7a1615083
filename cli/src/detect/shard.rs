//! Which part of the images this machine takes, where several share them.

use std::str::FromStr;

/// One of several nearly equal parts of a list. The parts follow one another, so their tables make that of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shard {
    /// From 1.
    number: u32,
    count: u32,
}

impl Default for Shard {
    /// All there is.
    fn default() -> Self {
        Self { number: 1, count: 1 }
    }
}

impl FromStr for Shard {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers =
            text.split_once('/').and_then(|(number, count)| Some((number.parse().ok()?, count.parse().ok()?)));
        match numbers {
            Some((number, count)) if (1..=count).contains(&number) => Ok(Self { number, count }),
            Some(_) => Err("shards are numbered from 1 to how many there are, such as 4/4 for the last of four"),
            None => Err("a number, a slash, and how many shards there are, are expected, such as 1/4"),
        }
    }
}

impl Shard {
    /// This part of a list.
    pub(crate) fn of<T>(self, mut items: Vec<T>) -> Vec<T> {
        let boundary = |number: u32| (items.len() as u64 * u64::from(number) / u64::from(self.count)) as usize;
        let (start, end) = (boundary(self.number - 1), boundary(self.number));
        items.truncate(end);
        items.split_off(start)
    }

    /// The name of its table: `scores.csv`, or `scores-03-of-12.csv`, such that names sort as the parts follow.
    pub(crate) fn table(self, ending: &str) -> String {
        let Self { number, count } = self;
        match count {
            1 => format!("scores.{ending}"),
            _ => format!("scores-{number:0width$}-of-{count}.{ending}", width = count.to_string().len()),
        }
    }

    /// Whether its table begins that of the whole.
    pub(crate) fn is_first(self) -> bool {
        self.number == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_make_the_whole_in_order() {
        for (items, count) in [(0, 1), (0, 3), (1, 1), (2, 5), (7, 7), (100, 7), (101, 12)] {
            let all: Vec<u32> = (0..items).collect();
            let shards: Vec<_> = (1..=count).map(|number| Shard { number, count }.of(all.clone())).collect();
            let (least, most) = (items / count, items.div_ceil(count));
            assert!(shards.iter().all(|shard| (least..=most).contains(&(shard.len() as u32))), "{items} in {count}");
            assert_eq!(shards.concat(), all);
        }
    }

    #[test]
    fn texts() {
        assert_eq!("3/12".parse(), Ok(Shard { number: 3, count: 12 }));
        assert_eq!("3/12".parse::<Shard>().expect("a shard").table("csv"), "scores-03-of-12.csv");
        assert_eq!(Shard::default().table("jsonl"), "scores.jsonl");
        for wrong in ["", "1", "0/2", "3/2", "-1/2", "1/0", "a/b", "1/2/3"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
