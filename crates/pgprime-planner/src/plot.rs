//! The curve of waiting over sizes as a picture: for a terminal, and as SVG.
//!
//! Both show the same: the waiting time on a logarithmic axis, as it falls by orders of magnitude within a few
//! connections; the target; the size that was chosen.

mod scale;
mod svg;
mod terminal;
mod wait;

pub use svg::svg;
pub use terminal::terminal;
pub use wait::WaitPlot;
