//! A target over its corpus and over seeded mutations of it: what CI runs of fuzzing, with any compiler.

use std::panic::catch_unwind;
use std::path::Path;

/// Runs the target on every file of its corpus, then on `count` mutations drawn from `seed`; a failure names both.
pub(crate) fn run(target: &str, run: fn(&[u8]), seed: u64, count: usize) {
    println!("corpus of {target}, {count} mutations, seed {seed}");
    let corpus = corpus(target);
    for (name, bytes) in &corpus {
        assert!(catch_unwind(|| run(bytes)).is_ok(), "{target} fails on {name}");
    }
    let mut random = Random(seed);
    for number in 0..count {
        let (name, bytes) = &corpus[random.below(corpus.len())];
        let (_, other) = &corpus[random.below(corpus.len())];
        let mutant = mutant(bytes, other, &mut random);
        assert!(catch_unwind(|| run(&mutant)).is_ok(), "{target} fails on mutation {number} of seed {seed}, of {name}");
    }
}

fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus")).join(target);
    let entries = std::fs::read_dir(&folder).expect("a corpus").map(|entry| entry.expect("an entry").path());
    let named = |path: std::path::PathBuf| (path.display().to_string(), std::fs::read(&path).expect("a file"));
    let mut files: Vec<_> = entries.map(named).collect();
    files.sort();
    assert!(files.len() >= 10, "the corpus of {target} has {} files", files.len());
    files
}

/// One to four changes: a bit, a byte, a range cut, repeated, or taken from another file, a token put in, the end cut.
fn mutant(bytes: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    const TOKENS: [&[u8]; 12] = [
        b"null",
        b"NaN",
        b"-1e999",
        b"\"",
        b"\\ud800",
        b"[[[[",
        b"{",
        b"}",
        b"\xff",
        b"\0",
        b"99999999999999999999",
        b"(-",
    ];
    let mut out = bytes.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(out.len() + 1);
        let end = (at + random.below(32)).min(out.len());
        match random.below(7) {
            0 if at < out.len() => out[at] ^= 1 << random.below(8),
            1 if at < out.len() => out[at] = random.next().to_le_bytes()[0],
            2 => drop(out.drain(at..end)),
            3 => out = [&out[..end], &out[at..]].concat(),
            4 => {
                let from = random.below(other.len() + 1);
                let to = (from + random.below(64)).min(other.len());
                out.splice(at..end, other[from..to].iter().copied());
            }
            5 => drop(out.splice(at..end, TOKENS[random.below(TOKENS.len())].iter().copied())),
            _ => out.truncate(at),
        }
    }
    out
}

/// xorshift64: repeatable, and good enough to choose with.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).expect("below a usize")
    }
}
