//! The curve as a picture that needs nothing else: styles for light and dark are in it.

use super::scale::{CountScale, LogScale};
use super::wait::{WaitPlot, WaitPoint};
use crate::format::{connections, milliseconds};

const STYLE: &str = include_str!("svg.css");

const WIDTH: f64 = 880.0;
const HEIGHT: f64 = 500.0;
/// The area of the curve.
const LEFT: f64 = 84.0;
const RIGHT: f64 = WIDTH - 32.0;
const TOP: f64 = 96.0;
const BOTTOM: f64 = HEIGHT - 68.0;

/// Draws the curve as an SVG document.
#[must_use]
pub fn svg(plot: &WaitPlot) -> String {
    let picture = Picture {
        plot,
        across: CountScale::new(plot.range.0, plot.range.1),
        up: LogScale::covering(plot.waits()),
        text: String::new(),
    };
    picture.document()
}

struct Picture<'a> {
    plot: &'a WaitPlot,
    across: CountScale,
    up: LogScale,
    text: String,
}

impl Picture<'_> {
    fn document(mut self) -> String {
        self.opening();
        self.beyond();
        self.grid();
        self.curves();
        self.target();
        self.chosen();
        self.legend();
        self.text.push_str("</svg>\n");
        self.text
    }

    fn push(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn opening(&mut self) {
        let load = escaped(self.plot.load());
        let summary = escaped(&self.summary());
        self.push(&format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" \
             height=\"{HEIGHT}\" role=\"img\" aria-labelledby=\"title desc\">"
        ));
        self.push(&format!("<title id=\"title\">Wait for a connection at {load}</title>"));
        self.push(&format!("<desc id=\"desc\">{summary}</desc>"));
        self.push(&format!("<style>\n{STYLE}</style>"));
        self.push(&format!(
            "<clipPath id=\"area\"><rect x=\"{LEFT}\" y=\"{TOP}\" width=\"{}\" height=\"{}\"/></clipPath>",
            RIGHT - LEFT,
            BOTTOM - TOP
        ));
        self.push(&format!("<rect class=\"paper\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"8\"/>"));
        self.push(&format!(
            "<text class=\"title\" x=\"{LEFT}\" y=\"36\">Wait for a connection at {load}</text>"
        ));
    }

    /// The picture in words.
    fn summary(&self) -> String {
        let chosen = self.plot.chosen_point().map_or_else(
            || format!("The chosen size, {}, does not carry the load.", self.plot.chosen),
            |point| {
                let (p99, mean) = (milliseconds(point.p99_ms), milliseconds(point.mean_ms));
                format!("At the chosen size, {}, p99 is {p99} and the mean {mean}.", point.connections)
            },
        );
        let target = milliseconds(self.plot.target_ms);
        format!(
            "Waiting time in milliseconds, on a logarithmic axis, over the number of connections to the database. \
             {chosen} The target for p99 is {target}."
        )
    }

    /// The sizes that cannot carry the load.
    fn beyond(&mut self) {
        let right = self.x(self.plot.demand).min(RIGHT);
        if right - LEFT < 1.0 {
            return;
        }
        self.push(&format!(
            "<rect class=\"beyond\" x=\"{LEFT}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{}\"/>",
            right - LEFT,
            BOTTOM - TOP
        ));
        let middle = (LEFT + right) / 2.0;
        // In a narrow strip the words run upwards.
        if right - LEFT > 190.0 {
            self.push(&format!(
                "<text class=\"beyond-text\" x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">the queue grows \
                 without end</text>",
                BOTTOM - 14.0
            ));
        } else if right - LEFT > 22.0 {
            let y = (TOP + BOTTOM) / 2.0;
            self.push(&format!(
                "<text class=\"beyond-text\" transform=\"rotate(-90 {middle:.1} {y:.1})\" x=\"{middle:.1}\" \
                 y=\"{:.1}\" text-anchor=\"middle\">the queue grows without end</text>",
                y + 4.5
            ));
        }
    }

    fn grid(&mut self) {
        for (value, text) in self.up.ticks().collect::<Vec<_>>() {
            let y = self.y(value);
            self.push(&format!(
                "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{RIGHT}\" y2=\"{y:.1}\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
                LEFT - 10.0,
                y + 4.5
            ));
        }
        for tick in self.across.ticks(12).collect::<Vec<_>>() {
            let x = self.x(f64::from(tick));
            self.push(&format!(
                "<line class=\"grid\" x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{BOTTOM}\"/>\
                 <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{tick}</text>",
                BOTTOM + 20.0
            ));
        }
        self.push(&format!(
            "<path class=\"axis\" fill=\"none\" d=\"M{LEFT} {TOP}V{BOTTOM}H{RIGHT}\"/>\
             <text x=\"{}\" y=\"{}\" text-anchor=\"middle\">connections to the database, over all instances</text>\
             <text transform=\"rotate(-90 24 {middle})\" x=\"24\" y=\"{middle}\" text-anchor=\"middle\">wait for a \
             connection, ms</text>",
            (LEFT + RIGHT) / 2.0,
            HEIGHT - 22.0,
            middle = (TOP + BOTTOM) / 2.0
        ));
    }

    fn curves(&mut self) {
        self.curve("p95", |point| point.p95_ms);
        self.curve("mean", |point| point.mean_ms);
        self.curve("p99", |point| point.p99_ms);
    }

    fn curve(&mut self, name: &str, wait_ms: impl Fn(&WaitPoint) -> f64) {
        let place = |point: &WaitPoint| {
            format!("{:.1} {:.1}", self.x(f64::from(point.connections)), self.y(wait_ms(point)))
        };
        let places: Vec<String> = self.plot.points.iter().map(place).collect();
        if !places.is_empty() {
            let path = places.join("L");
            self.push(&format!("<path class=\"curve {name}\" clip-path=\"url(#area)\" d=\"M{path}\"/>"));
        }
    }

    fn target(&mut self) {
        let y = self.y(self.plot.target_ms);
        let words = format!("target: p99 ≤ {}", milliseconds(self.plot.target_ms));
        self.push(&format!(
            "<line class=\"target\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{RIGHT}\" y2=\"{y:.1}\"/>\
             <text class=\"target-text halo\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{words}</text>",
            RIGHT - 8.0,
            y - 7.0
        ));
    }

    fn chosen(&mut self) {
        let x = self.x(f64::from(self.plot.chosen));
        if !(LEFT..=RIGHT).contains(&x) {
            return;
        }
        self.push(&format!(
            "<line class=\"chosen\" x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{BOTTOM}\"/>"
        ));
        let point = self.plot.chosen_point().copied();
        for (name, wait_ms) in point.iter().flat_map(|point| [("mean", point.mean_ms), ("p99", point.p99_ms)])
        {
            let y = self.y(wait_ms);
            if y <= BOTTOM {
                self.push(&format!("<circle class=\"dot {name}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5.5\"/>"));
            }
        }
        self.chosen_words(x, point);
    }

    fn chosen_words(&mut self, x: f64, point: Option<WaitPoint>) {
        // On the side that has more room.
        let (anchor, away) = if x > (LEFT + RIGHT) / 2.0 { ("end", -10.0) } else { ("start", 10.0) };
        let size = format!("chosen: {}", connections(self.plot.chosen));
        let waits = point.map_or_else(
            || "too few for the load".to_owned(),
            |point| format!("p99 {}, mean {}", milliseconds(point.p99_ms), milliseconds(point.mean_ms)),
        );
        // The halo is for words upon lines, not for those upon a ground of colour.
        let class = if point.is_some() { "chosen-text halo" } else { "chosen-text" };
        for (y, words) in [(TOP + 18.0, size), (TOP + 36.0, escaped(&waits))] {
            self.push(&format!(
                "<text class=\"{class}\" x=\"{:.1}\" y=\"{y}\" text-anchor=\"{anchor}\">{words}</text>",
                x + away
            ));
        }
    }

    fn legend(&mut self) {
        let entries =
            [("p99", "p99: 99 of 100 wait less", 0.0), ("p95", "p95", 224.0), ("mean", "mean", 308.0)];
        for (name, words, offset) in entries {
            let x = LEFT + offset;
            self.push(&format!(
                "<line class=\"curve {name}\" x1=\"{x}\" y1=\"66\" x2=\"{}\" y2=\"66\"/><text x=\"{}\" y=\"70.5\">\
                 {words}</text>",
                x + 30.0,
                x + 38.0
            ));
        }
    }

    fn x(&self, connections: f64) -> f64 {
        LEFT + self.across.place(connections) * (RIGHT - LEFT)
    }

    fn y(&self, wait_ms: f64) -> f64 {
        BOTTOM - self.up.place(wait_ms) * (BOTTOM - TOP)
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
