//! Sides that take turns, and the table of what they did.

use anyhow::{Context, Result};

use super::super::complain;
use super::measure::Sample;

/// So our sides are called.
const OURS: &str = "azud";
/// Memory that a client may have, and that a manager may, in MiB.
const CLIENT: u64 = 256;
const MANAGER: u64 = 512;

/// What a turn came to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Turn {
    /// Its cost.
    pub(super) sample: Sample,
    /// Bytes that it made, where that matters.
    pub(super) size: Option<u64>,
}

/// One of those who are compared.
pub(super) struct Side<'a> {
    /// As the table calls it.
    what: String,
    /// How many times faster than this the first side has to be.
    hold: Option<f64>,
    /// Makes ready, measures, cleans up; given the number of the turn.
    turn: Box<dyn FnMut(usize) -> Result<Turn> + 'a>,
}

impl<'a> Side<'a> {
    pub(super) fn new(
        what: impl Into<String>,
        hold: Option<f64>,
        turn: impl FnMut(usize) -> Result<Turn> + 'a,
    ) -> Self {
        Self {
            what: what.into(),
            hold,
            turn: Box::new(turn),
        }
    }
}

/// The turns of a side.
#[derive(Debug)]
struct Line {
    what: String,
    hold: Option<f64>,
    turns: Vec<Turn>,
}

/// A table: the first line is what is judged, the others are its peers.
#[derive(Debug)]
pub(super) struct Table {
    title: String,
    /// Bytes of content that each turn handled.
    used: u64,
    lines: Vec<Line>,
    notes: Vec<String>,
}

impl Table {
    /// Lets the sides take turns.
    pub(super) fn measure(
        title: impl Into<String>,
        used: u64,
        runs: usize,
        mut sides: Vec<Side<'_>>,
    ) -> Result<Self> {
        let title = title.into();
        let mut turns = vec![Vec::new(); sides.len()];
        for run in 0..runs {
            for (side, turns) in sides.iter_mut().zip(&mut turns) {
                let turn = (side.turn)(run).with_context(|| format!("{title}: {}", side.what))?;
                let Sample { wall, cpu, .. } = turn.sample;
                complain(&format!(
                    "bench: {title}, turn {}: {}: {wall:.2} s, CPU {cpu:.2} s",
                    run + 1,
                    side.what
                ));
                turns.push(turn);
            }
        }
        let line = |(side, turns): (Side<'_>, Vec<Turn>)| Line {
            what: side.what,
            hold: side.hold,
            turns,
        };
        let lines = sides.into_iter().zip(turns).map(line).collect();
        Ok(Self {
            title,
            used,
            lines,
            notes: Vec::new(),
        })
    }

    /// Adds a remark below the table.
    pub(super) fn note(&mut self, text: String) {
        self.notes.push(text);
    }

    /// Adds what memory both ends had: a manager, and the largest process of ours.
    pub(super) fn note_memory(&mut self, manager: u64) {
        let ours = self.lines.iter().filter(|line| line.what.starts_with(OURS));
        let client = ours.map(Line::peak).max();
        let held = |bytes: u64, hold: u64| {
            let verdict = if bytes <= hold << 20 { "yes" } else { "**no**" };
            format!("{:.0} MiB at most, hold: ≤ {hold} {verdict}", mib(bytes))
        };
        let client = client.map(|peak| format!("; a client of azud {}", held(peak, CLIENT)));
        self.note(format!(
            "memory: the manager had {}{}",
            held(manager, MANAGER),
            client.unwrap_or_default()
        ));
    }

    /// What a side takes, in seconds.
    pub(super) fn wall(&self, line: usize) -> f64 {
        self.lines.get(line).map_or(0.0, Line::wall)
    }

    /// Bytes that a side made in its last turn.
    pub(super) fn size(&self, line: usize) -> Option<u64> {
        self.lines.get(line)?.turns.last()?.size
    }

    /// The table in Markdown.
    pub(super) fn markdown(&self) -> String {
        let mut out = format!(
            "### {}\n\n| | wall s | CPU s | peak MiB | MB/s | MB made | times the first | hold |\n\
             |---|---:|---:|---:|---:|---:|---:|---:|\n",
            self.title
        );
        let first = self.lines.first().map_or(0.0, Line::wall);
        for (number, line) in self.lines.iter().enumerate() {
            out += &line.markdown(self.used, (number > 0).then_some(first));
        }
        if !self.notes.is_empty() {
            out += "\n";
        }
        for note in &self.notes {
            out += &["- ", note, "\n"].concat();
        }
        out
    }
}

impl Line {
    fn values(&self, of: impl Fn(&Sample) -> f64) -> Vec<f64> {
        let mut values: Vec<f64> = self.turns.iter().map(|turn| of(&turn.sample)).collect();
        values.sort_by(f64::total_cmp);
        values
    }

    fn peak(&self) -> u64 {
        let peaks = self.turns.iter().map(|turn| turn.sample.peak);
        peaks.max().unwrap_or_default()
    }

    fn wall(&self) -> f64 {
        median(&self.values(|sample| sample.wall))
    }

    fn markdown(&self, used: u64, first: Option<f64>) -> String {
        let walls = self.values(|sample| sample.wall);
        let range = match walls.as_slice() {
            [least, .., most] => format!(" ({least:.2}–{most:.2})"),
            _ => String::new(),
        };
        let size = self.turns.last().and_then(|turn| turn.size);
        let ratio = first.map(|first| self.wall() / first);
        let verdict = |hold: f64| match ratio {
            Some(ratio) if ratio >= hold => format!("≥ {hold} yes"),
            _ => format!("≥ {hold} **no**"),
        };
        format!(
            "| {} | {:.2}{range} | {:.2} | {:.0} | {:.0} | {} | {} | {} |\n",
            self.what,
            self.wall(),
            median(&self.values(|sample| sample.cpu)),
            mib(self.peak()),
            float(used) / 1e6 / self.wall(),
            size.map(mb).unwrap_or_default(),
            ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
            self.hold.map(verdict).unwrap_or_default(),
        )
    }
}

/// The middle of sorted values, or the mean of the two in the middle.
fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// Millions of bytes.
pub(super) fn mb(bytes: u64) -> String {
    format!("{:.1}", float(bytes) / 1e6)
}

fn mib(bytes: u64) -> f64 {
    float(bytes) / f64::from(1 << 20)
}

/// A count for calculating with; exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::super::measure::Sample;
    use super::{Side, Table, Turn};

    fn side(what: &str, hold: Option<f64>, walls: [f64; 3]) -> Side<'_> {
        Side::new(what, hold, move |run| {
            let sample = Sample {
                wall: walls[run],
                cpu: 1.0,
                peak: 5 << 20,
            };
            Ok(Turn {
                sample,
                size: Some(2_000_000),
            })
        })
    }

    #[test]
    fn memory_is_held_against_what_may_be_had() {
        let sides = vec![
            side("azud here", None, [1.0; 3]),
            side("another", None, [1.0; 3]),
        ];
        let mut table = Table::measure("Race", 1, 3, sides).unwrap();
        table.note_memory(513 << 20);
        let text = table.markdown();
        assert!(
            text.contains("had 513 MiB at most, hold: ≤ 512 **no**"),
            "{text}"
        );
        assert!(
            text.contains("of azud 5 MiB at most, hold: ≤ 256 yes"),
            "{text}"
        );
    }

    #[test]
    fn medians_ranges_and_verdicts_are_shown() {
        let sides = vec![
            side("ours", None, [2.0, 1.0, 9.0]),
            side("theirs", Some(3.5), [8.0, 7.0, 6.0]),
            side("fast", Some(2.0), [3.0, 3.0, 3.0]),
        ];
        let table = Table::measure("Race", 4_000_000, 3, sides).unwrap();
        let text = table.markdown();
        let lines: Vec<&str> = text.lines().skip(4).collect();
        assert_eq!(
            lines[0],
            "| ours | 2.00 (1.00–9.00) | 1.00 | 5 | 2 | 2.0 |  |  |"
        );
        assert!(lines[1].ends_with("| 3.50 | ≥ 3.5 yes |"), "{}", lines[1]);
        assert!(lines[2].ends_with("| 1.50 | ≥ 2 **no** |"), "{}", lines[2]);
    }
}
