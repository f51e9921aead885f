//! The curve as text, in dots of Braille characters.

use super::scale::{CountScale, LogScale};
use super::wait::{WaitPlot, WaitPoint};
use crate::format::{connections, milliseconds};

const COLUMNS: usize = 76;
const ROWS: usize = 12;
/// Dots of one Braille character.
const DOTS_WIDE: usize = 2;
const DOTS_HIGH: usize = 4;
/// Room for the texts of the vertical axis.
const MARGIN: usize = 9;

/// Draws the curve in at most 20 lines. Empty where no size carries the load.
#[must_use]
pub fn terminal(plot: &WaitPlot) -> Vec<String> {
    let (Some(first), Some(last)) = (plot.points.first(), plot.points.last()) else { return Vec::new() };
    let picture = Picture {
        plot,
        across: CountScale::new(first.connections, last.connections),
        up: LogScale::covering(plot.waits()),
    };
    picture.lines()
}

struct Picture<'a> {
    plot: &'a WaitPlot,
    across: CountScale,
    up: LogScale,
}

impl Picture<'_> {
    fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.legend()];
        let cells = self.cells();
        for (row, cells) in cells.iter().enumerate() {
            let text: String = cells.iter().collect();
            lines.push(format!("{:>MARGIN$} {}", self.row_text(row), text.trim_end()));
        }
        lines.extend(self.axis());
        lines
    }

    fn legend(&self) -> String {
        let target = milliseconds(self.plot.target_ms);
        let chosen = if self.chosen_column().is_some() { "   ┊ chosen size" } else { "" };
        format!("{:>MARGIN$} ms: ⠒⠒ p99   ⠂⠄ mean   ╌╌ target for p99: {target}{chosen}", "")
    }

    /// The axis' text and line beside one row.
    fn row_text(&self, row: usize) -> String {
        let tick = self.up.ticks().find(|(value, _)| row_at(self.up.place(*value)) == Some(row));
        tick.map_or_else(|| "│".to_owned(), |(_, text)| format!("{text} ┤"))
    }

    fn cells(&self) -> Vec<Vec<char>> {
        let mut cells = vec![vec![' '; COLUMNS]; ROWS];
        if let Some(row) = row_at(self.up.place(self.plot.target_ms)) {
            cells[row].fill('╌');
        }
        if let Some(column) = self.chosen_column() {
            cells.iter_mut().for_each(|row| row[column] = '┊');
        }
        let mut dots = Dots::new();
        self.draw(&mut dots, |point| point.p99_ms, 1);
        self.draw(&mut dots, |point| point.mean_ms, 3);
        dots.cover(&mut cells);
        cells
    }

    fn chosen_column(&self) -> Option<usize> {
        self.plot.chosen_point()?;
        cell(self.across.place(f64::from(self.plot.chosen)), COLUMNS)
    }

    /// Draws every `stride`-th column of dots of a line through the points.
    fn draw(&self, dots: &mut Dots, wait_ms: impl Fn(&WaitPoint) -> f64, stride: usize) {
        let mut before: Option<f64> = None;
        for x in 0..COLUMNS * DOTS_WIDE {
            let connections = self.across.value(share(x, COLUMNS * DOTS_WIDE - 1));
            let place = self.place_at(connections, &wait_ms);
            // Up to the column before, so that a steep line has no gaps.
            let from = before.filter(|_| stride == 1).unwrap_or(place);
            if x % stride == 0 {
                dots.vertical(x, from.min(place), from.max(place));
            }
            before = Some(place);
        }
    }

    /// The height of the line at any number of connections, between those of the sizes next to it.
    fn place_at(&self, connections: f64, wait_ms: &impl Fn(&WaitPoint) -> f64) -> f64 {
        let after = self.plot.points.iter().position(|point| f64::from(point.connections) >= connections);
        let after = after.unwrap_or(self.plot.points.len() - 1);
        let (low, high) = (&self.plot.points[after.saturating_sub(1)], &self.plot.points[after]);
        let (start, end) = (self.up.place(wait_ms(low)), self.up.place(wait_ms(high)));
        let span = f64::from(high.connections - low.connections);
        if span == 0.0 {
            end
        } else {
            start + (end - start) * (connections - f64::from(low.connections)) / span
        }
    }

    /// The horizontal axis with its texts, and the mark of the chosen size below.
    fn axis(&self) -> Vec<String> {
        let mut line = vec!['─'; COLUMNS];
        let mut texts = vec![' '; COLUMNS + 4];
        for tick in self.across.ticks(8) {
            let Some(column) = cell(self.across.place(f64::from(tick)), COLUMNS) else { continue };
            line[column] = '┬';
            write_centred(&mut texts, column, &tick.to_string());
        }
        let text = |cells: Vec<char>| cells.into_iter().collect::<String>().trim_end().to_owned();
        let mut lines = vec![
            format!("{:>MARGIN$}{}", "└", format_args!("─{}", text(line))),
            format!("{:>MARGIN$} {}", "", text(texts)),
        ];
        if let (Some(column), Some(point)) = (self.chosen_column(), self.plot.chosen_point()) {
            lines.push(self.chosen_mark(column, point));
        } else {
            let chosen = connections(self.plot.chosen);
            lines.push(format!("{:>MARGIN$} {chosen}, the chosen size: too few for the load", ""));
        }
        lines.push(format!("{:>MARGIN$} connections to the database, over all instances", ""));
        lines
    }

    fn chosen_mark(&self, column: usize, point: &WaitPoint) -> String {
        let words = format!(
            "{}: p99 {}, mean {}",
            connections(point.connections),
            milliseconds(point.p99_ms),
            milliseconds(point.mean_ms)
        );
        let is_left = column + words.chars().count() + 2 > COLUMNS;
        if is_left {
            let width = MARGIN + 1 + column;
            format!("{:>width$}▲", format!("{words} "))
        } else {
            format!("{:>MARGIN$} {:column$}▲ {words}", "", "")
        }
    }
}

/// Writes a text around a column, where there is room; one blank stays free on each side.
fn write_centred(cells: &mut [char], column: usize, text: &str) {
    let width = text.chars().count();
    let start = column.saturating_sub(width / 2);
    let taken = start.saturating_sub(1)..(start + width + 1).min(cells.len());
    if start + width > cells.len() || cells[taken].iter().any(|cell| *cell != ' ') {
        return;
    }
    cells[start..].iter_mut().zip(text.chars()).for_each(|(cell, character)| *cell = character);
}

#[expect(clippy::cast_precision_loss, reason = "columns are few")]
fn share(index: usize, last: usize) -> f64 {
    index as f64 / last as f64
}

/// The cell of `count` at a place; `None` outside.
#[expect(clippy::cast_precision_loss, reason = "cells are few")]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be from 0 to 1")]
fn cell(place: f64, count: usize) -> Option<usize> {
    (0.0..=1.0).contains(&place).then(|| (place * (count - 1) as f64).round() as usize)
}

/// The row at a height, counted from the top.
fn row_at(place: f64) -> Option<usize> {
    cell(place, ROWS * DOTS_HIGH).map(|dot| ROWS - 1 - dot / DOTS_HIGH)
}

/// The dots of all characters.
struct Dots {
    patterns: [[u8; COLUMNS]; ROWS],
}

impl Dots {
    fn new() -> Self {
        Self { patterns: [[0; COLUMNS]; ROWS] }
    }

    /// Sets the dots of one column between two heights, as far as they are inside.
    fn vertical(&mut self, x: usize, low: f64, high: f64) {
        if high < 0.0 || low > 1.0 {
            return;
        }
        let dots = ROWS * DOTS_HIGH;
        let inside = |place: f64| cell(place.clamp(0.0, 1.0), dots).unwrap_or_default();
        for dot in inside(low)..=inside(high) {
            self.set(x, dots - 1 - dot);
        }
    }

    fn set(&mut self, x: usize, y: usize) {
        // The bits of a Braille character's dots, by column and row.
        const BITS: [[u8; DOTS_HIGH]; DOTS_WIDE] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
        self.patterns[y / DOTS_HIGH][x / DOTS_WIDE] |= BITS[x % DOTS_WIDE][y % DOTS_HIGH];
    }

    /// Puts the characters that have dots over what stands in the cells.
    fn cover(&self, cells: &mut [Vec<char>]) {
        for (row, patterns) in cells.iter_mut().zip(&self.patterns) {
            for (cell, pattern) in row.iter_mut().zip(patterns).filter(|(_, pattern)| **pattern != 0) {
                *cell = char::from_u32(0x2800 + u32::from(*pattern)).unwrap_or(' ');
            }
        }
    }
}
