//! What the fuzz targets do, without a fuzzer: all seeds, all that was ever found, and some hundred mutations
//! of each seed that are the same every time. `fuzz/README.md` tells how to search for more.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

#[path = "../../../fuzz/src/lib.rs"]
mod fuzz;

/// Mutated inputs of each target.
const MUTATIONS: u64 = 400;

/// Inputs in `fuzz/KIND/TARGET`, by name.
fn inputs(kind: &str, target: &str) -> Vec<(String, Vec<u8>)> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let Ok(files) = fs::read_dir(top.join(kind).join(target)) else {
        return Vec::new();
    };
    let paths = files.map(|file| file.expect("a directory entry").path());
    let mut inputs: Vec<_> = paths
        .map(|path| {
            let bytes = fs::read(&path).expect("an input");
            (path.display().to_string(), bytes)
        })
        .collect();
    inputs.sort();
    inputs
}

fn run(target: fuzz::Target, name: &str, bytes: &[u8]) {
    let done = catch_unwind(AssertUnwindSafe(|| target(bytes)));
    assert!(done.is_ok(), "{name}: {bytes:02x?}");
}

/// splitmix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % end.max(1) as u64).expect("below the end")
    }

    fn byte(&mut self) -> u8 {
        let special = [0, 1, 0x7F, 0x80, 0xFF];
        match self.below(4) {
            0 => special[self.below(special.len())],
            _ => u8::try_from(self.below(256)).expect("a byte"),
        }
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            match self.below(5) {
                0 => bytes.truncate(at.max(1)),
                1 => bytes.insert(at, self.byte()),
                2 => {
                    let more = (0..self.below(40)).map(|_| self.byte());
                    let more: Vec<u8> = more.collect();
                    bytes.extend(more);
                }
                _ => bytes[at] = self.byte(),
            }
        }
    }
}

#[test]
fn seeds_and_what_was_found_break_nothing() {
    let mut count = 0;
    for (name, target) in fuzz::TARGETS {
        let seeds = inputs("seeds", name);
        assert!(!seeds.is_empty(), "{name} has no seeds");
        for (path, bytes) in seeds.into_iter().chain(inputs("regressions", name)) {
            run(*target, &path, &bytes);
            count += 1;
        }
    }
    assert!(count >= fuzz::TARGETS.len());
}

#[test]
fn mutated_seeds_break_nothing() {
    for (name, target) in fuzz::TARGETS {
        let seeds = inputs("seeds", name);
        for number in 0..MUTATIONS {
            let mut dice = Dice(number);
            let mut bytes = seeds[dice.below(seeds.len())].1.clone();
            dice.mutate(&mut bytes);
            run(*target, &format!("{name}, mutation {number}"), &bytes);
        }
    }
}

#[test]
fn bases_are_volumes_that_maps_accept() {
    fuzz::try_bases();
}
