//! Sorting more numbers than fit in memory.

use crate::{Error, Result};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::env;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};

/// Takes numbers in any order and gives them back rising, with at most `capacity` of them in memory: the others wait in
/// sorted temporary files, which have no name and vanish with the process, however it ends.
pub(super) struct Sorter {
    capacity: usize,
    numbers: Vec<u64>,
    runs: Vec<File>,
}

impl Sorter {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, numbers: Vec::new(), runs: Vec::new() }
    }

    pub(super) fn push(&mut self, number: u64) -> Result<()> {
        if self.numbers.len() == self.capacity {
            self.spill().map_err(Error::io("write a temporary file in", env::temp_dir()))?;
        }
        self.numbers.push(number);
        Ok(())
    }

    fn spill(&mut self) -> io::Result<()> {
        self.numbers.sort_unstable();
        let mut file = tempfile::tempfile()?;
        file.write_all(bytemuck::cast_slice(&self.numbers))?;
        file.seek(SeekFrom::Start(0))?;
        self.numbers.clear();
        self.runs.push(file);
        Ok(())
    }

    /// Hands all numbers to `take`, the least first.
    pub(super) fn drain(mut self, mut take: impl FnMut(u64)) -> Result<()> {
        self.numbers.sort_unstable();
        if self.runs.is_empty() {
            self.numbers.into_iter().for_each(take);
            return Ok(());
        }
        let files = self.runs.into_iter().map(|file| Run::File(BufReader::with_capacity(READ_BYTES, file)));
        let mut runs: Vec<Run> = files.chain([Run::Memory(self.numbers.into_iter())]).collect();
        merge(&mut runs, &mut take).map_err(Error::io("read a temporary file in", env::temp_dir()))
    }
}

/// Bytes read of a temporary file at once.
const READ_BYTES: usize = 1 << 18;

/// Sorted numbers.
enum Run {
    File(BufReader<File>),
    Memory(std::vec::IntoIter<u64>),
}

impl Run {
    fn next(&mut self) -> io::Result<Option<u64>> {
        match self {
            Self::Memory(numbers) => Ok(numbers.next()),
            Self::File(file) => {
                let mut number = [0; 8];
                match file.read_exact(&mut number) {
                    Ok(()) => Ok(Some(u64::from_ne_bytes(number))),
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
                    Err(error) => Err(error),
                }
            }
        }
    }
}

fn merge(runs: &mut [Run], take: &mut impl FnMut(u64)) -> io::Result<()> {
    let mut heads = BinaryHeap::new();
    for (index, run) in runs.iter_mut().enumerate() {
        heads.extend(run.next()?.map(|number| Reverse((number, index))));
    }
    while let Some(mut head) = heads.peek_mut() {
        let Reverse((number, index)) = *head;
        take(number);
        match runs[index].next()? {
            Some(next) => *head = Reverse((next, index)),
            None => drop(PeekMut::pop(head)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_with_and_without_files() {
        // Every residue of a generator of Z / 1009, with repetitions.
        let numbers: Vec<u64> = (1..3000_u64)
            .scan(1, |at, _| {
                *at = *at * 11 % 1009;
                Some(*at)
            })
            .collect();
        let mut expected = numbers.clone();
        expected.sort();
        for capacity in [1, 7, 1000, 2999, 5000] {
            let mut sorter = Sorter::new(capacity);
            numbers.iter().for_each(|&number| sorter.push(number).expect("a temporary folder"));
            assert!(sorter.numbers.len() <= capacity);
            let mut found = Vec::new();
            sorter.drain(|number| found.push(number)).expect("readable");
            assert_eq!(found, expected, "capacity {capacity}");
        }
        Sorter::new(3).drain(|_| panic!("nothing was pushed")).expect("nothing to read");
    }
}
