//! How many pages rows need, from the statistics of their columns.
//!
//! A row of a table takes 4 bytes in the page's list, a header of 23 bytes with one bit more for each column where the
//! row holds a null, and its values, header and values each rounded up to 8 bytes. Within the values each type begins
//! at a multiple of its alignment; how much that costs is an expectation where values before it vary in length. A row
//! is never split over pages, so a page holds a whole number of them, as far as the fill factor lets it.
//!
//! An entry of a B-tree takes 4 bytes in the list, a header of 8 (16 where a key is null) and its values; of a page of
//! the lowest level 40 bytes are the page's own. Where equal keys are stored once, each further row costs 6 bytes.

/// A page's header.
const PAGE_HEADER: f64 = 24.0;
/// A page's header and a B-tree's own data at its end.
const INDEX_PAGE_HEADER: f64 = 40.0;
const LINE_POINTER: f64 = 4.0;
const ROW_HEADER: f64 = 23.0;
const INDEX_HEADER: f64 = 8.0;
/// Header and bits for 32 columns, rounded up.
const INDEX_HEADER_WITH_NULLS: f64 = 16.0;
/// What every row and every header is rounded up to.
const ALIGNMENT: u32 = 8;
/// Values up to this length have a header of one byte and no alignment.
const SHORT_VALUE_BYTES: f64 = 127.0;
/// Out-of-line values are cut so that four pieces fill a page.
const TOAST_ROWS_PER_PAGE: f64 = 4.0;
/// Of one row among those that share a key in an index.
const ROW_POINTER: f64 = 6.0;
/// An entry that is shared holds at most about this share of a page.
const SHARED_ENTRY_PAGE_SHARE: f64 = 0.1;
/// How full the pages above the lowest level are, in percent.
const INNER_FILL_PERCENT: f64 = 70.0;

/// What the estimate needs to know of a column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Column {
    /// Bytes; None where it varies.
    pub(crate) fixed_bytes: Option<f64>,
    /// Where a value begins: at a multiple of this.
    pub(crate) alignment: u32,
    /// The share of rows without a value, 0 to 1.
    pub(crate) null_share: f64,
    /// The average of those with one.
    pub(crate) width_bytes: f64,
    /// A dropped column is null in every row written since.
    pub(crate) is_dropped: bool,
}

/// A table's pages and rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct HeapShape {
    pub(crate) block_bytes: f64,
    /// Percent of a page that inserts fill.
    pub(crate) fill_percent: f64,
    pub(crate) rows: f64,
}

impl HeapShape {
    /// Pages that hold these rows when there is no waste.
    pub(crate) fn pages(&self, columns: &[Column]) -> f64 {
        (self.rows / self.rows_per_page(columns)).ceil()
    }

    /// Rows that a page takes, at least one.
    pub(crate) fn rows_per_page(&self, columns: &[Column]) -> f64 {
        let kept_free = self.block_bytes * (100.0 - self.fill_percent) / 100.0;
        let room = self.block_bytes - PAGE_HEADER - kept_free;
        (room / row_bytes(columns)).floor().max(1.0)
    }

    /// The share of a full page that is rows, 0 to 1: the rest is what the fill factor and whole rows leave over.
    pub(crate) fn full_share(&self, columns: &[Column]) -> f64 {
        (self.rows_per_page(columns) * row_bytes(columns) / self.block_bytes).min(1.0)
    }
}

/// Bytes of a row of a table with its place in the page's list.
pub(crate) fn row_bytes(columns: &[Column]) -> f64 {
    let without_nulls: f64 =
        columns.iter().map(|column| if column.is_dropped { 0.0 } else { 1.0 - column.null_share }).product();
    let bitmap = columns.len().div_ceil(8) as f64;
    let header = |bytes: f64| (bytes / f64::from(ALIGNMENT)).ceil() * f64::from(ALIGNMENT);
    let mean_header =
        without_nulls * header(ROW_HEADER) + (1.0 - without_nulls) * header(ROW_HEADER + bitmap);
    LINE_POINTER + mean_header + data_bytes(columns)
}

/// Pages for out-of-line values in this many pieces. Rough: the last piece of each value is smaller.
pub(crate) fn toast_pages(pieces: f64) -> f64 {
    (pieces / TOAST_ROWS_PER_PAGE).ceil()
}

/// A B-tree's pages and entries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct IndexShape {
    pub(crate) block_bytes: f64,
    pub(crate) fill_percent: f64,
    pub(crate) rows: f64,
    /// Where equal keys are stored once: how many are equal.
    pub(crate) shared: Option<SharedKeys>,
}

/// How many keys are equal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SharedKeys {
    /// Different keys other than null.
    pub(crate) keys: f64,
    /// The share of rows whose key is null, 0 to 1: they are equal.
    pub(crate) null_share: f64,
}

impl IndexShape {
    /// Pages of a freshly built index, its upper levels and its first page with them.
    pub(crate) fn pages(&self, columns: &[Column]) -> f64 {
        let entry = entry_bytes(columns);
        let room =
            self.block_bytes - INDEX_PAGE_HEADER - self.block_bytes * (100.0 - self.fill_percent) / 100.0;
        // A page begins with a copy of the key that bounds it.
        let leaf = (self.rows * self.bytes_per_row(entry) / (room - entry).max(entry)).ceil().max(1.0);
        let inner_room = (self.block_bytes - INDEX_PAGE_HEADER) * INNER_FILL_PERCENT / 100.0;
        let fanout = (inner_room / entry).max(2.0);
        let (mut pages, mut level) = (1.0 + leaf, leaf);
        while level > 1.0 {
            level = (level / fanout).ceil();
            pages += level;
        }
        pages
    }

    fn bytes_per_row(&self, entry: f64) -> f64 {
        let Some(SharedKeys { keys, null_share }) = self.shared else { return entry };
        let shared_max = ((self.block_bytes * SHARED_ENTRY_PAGE_SHARE - entry) / ROW_POINTER).max(1.0);
        let of_group = |rows: f64, keys: f64| {
            let together = (rows / keys.max(1.0)).min(shared_max);
            if together < 2.0 { entry } else { (ROW_POINTER + entry / together).min(entry) }
        };
        let nulls = self.rows * null_share;
        null_share * of_group(nulls, 1.0) + (1.0 - null_share) * of_group(self.rows - nulls, keys)
    }
}

/// Bytes of an entry of a B-tree with its place in the page's list.
fn entry_bytes(columns: &[Column]) -> f64 {
    let without_nulls: f64 = columns.iter().map(|column| 1.0 - column.null_share).product();
    let header = without_nulls * INDEX_HEADER + (1.0 - without_nulls) * INDEX_HEADER_WITH_NULLS;
    LINE_POINTER + header + data_bytes(columns)
}

/// Where the next value may begin: at a number of bytes that leaves `remainder` when divided by `modulus`.
#[derive(Clone, Copy)]
struct Position {
    modulus: u32,
    remainder: u32,
}

impl Position {
    /// The bytes skipped on average to reach a multiple of `alignment`.
    fn padding(self, alignment: u32) -> f64 {
        let step = self.modulus.min(alignment).max(1);
        let starts: Vec<u32> = (self.remainder % step..alignment).step_by(step as usize).collect();
        let skipped: u32 = starts.iter().map(|start| (alignment - start) % alignment).sum();
        f64::from(skipped) / starts.len().max(1) as f64
    }
}

/// Expected bytes of the values of a row, rounded up to [`ALIGNMENT`].
fn data_bytes(columns: &[Column]) -> f64 {
    let mut bytes = 0.0;
    let mut position = Position { modulus: ALIGNMENT, remainder: 0 };
    for column in columns.iter().filter(|column| !column.is_dropped && column.null_share < 1.0) {
        let present = 1.0 - column.null_share;
        let is_short = column.fixed_bytes.is_none() && column.width_bytes < SHORT_VALUE_BYTES;
        let alignment = if is_short { 1 } else { column.alignment };
        bytes += present * (position.padding(alignment) + column.width_bytes);
        position = match column.fixed_bytes {
            Some(fixed) if present >= 1.0 => after(position, alignment, fixed),
            _ => Position { modulus: 1, remainder: 0 },
        };
    }
    bytes + position.padding(ALIGNMENT)
}

/// The position behind a value of fixed length.
fn after(position: Position, alignment: u32, fixed_bytes: f64) -> Position {
    // Lengths are small whole numbers.
    let length = fixed_bytes as u32;
    if alignment >= position.modulus {
        return Position { modulus: alignment, remainder: length % alignment };
    }
    let begin = position.remainder.div_ceil(alignment) * alignment;
    Position { modulus: position.modulus, remainder: (begin + length) % position.modulus }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(bytes: u32) -> Column {
        let alignment = bytes.min(8);
        let width_bytes = f64::from(bytes);
        Column { fixed_bytes: Some(width_bytes), alignment, null_share: 0.0, width_bytes, is_dropped: false }
    }

    fn text(width_bytes: f64) -> Column {
        Column { fixed_bytes: None, alignment: 4, null_share: 0.0, width_bytes, is_dropped: false }
    }

    #[test]
    fn rows_of_fixed_columns_are_exact() {
        for (columns, expected) in [
            (vec![], 4.0 + 24.0),
            (vec![fixed(4)], 4.0 + 24.0 + 8.0),
            (vec![fixed(4), fixed(8)], 4.0 + 24.0 + 16.0),
            (vec![fixed(2), fixed(4), fixed(1)], 4.0 + 24.0 + 16.0),
            (vec![fixed(8), fixed(8), fixed(4), fixed(4)], 4.0 + 24.0 + 24.0),
        ] {
            assert_eq!(row_bytes(&columns), expected, "{columns:?}");
        }
        // 8,168 bytes of room hold 226 rows of 36 bytes: one integer.
        let shape = HeapShape { block_bytes: 8_192.0, fill_percent: 100.0, rows: 1_000_000.0 };
        assert_eq!(shape.rows_per_page(&[fixed(4)]), 226.0);
        assert_eq!(shape.pages(&[fixed(4)]), 4_425.0);
        let half = HeapShape { fill_percent: 50.0, ..shape };
        assert_eq!(half.rows_per_page(&[fixed(4)]), 113.0);
        assert!((half.full_share(&[fixed(4)]) - 113.0 * 36.0 / 8_192.0).abs() < 1e-12);
    }

    #[test]
    fn alignment_behind_a_text_is_an_expectation() {
        // 10 bytes, half of the seven that may be missing to a multiple of 8, then 8, then nothing.
        assert_eq!(row_bytes(&[text(10.0), fixed(8)]), 4.0 + 24.0 + 10.0 + 3.5 + 8.0);
        assert_eq!(row_bytes(&[fixed(8), text(10.0)]), 4.0 + 24.0 + 8.0 + 10.0 + 3.5);
        // A long one begins at a multiple of 4.
        assert_eq!(row_bytes(&[fixed(1), text(500.0)]), 4.0 + 24.0 + 1.0 + 3.0 + 500.0 + 3.5);
    }

    #[test]
    fn nulls_take_a_bit_each_and_no_width() {
        let null = |share| Column { null_share: share, ..fixed(8) };
        assert_eq!(row_bytes(&[fixed(8), null(1.0)]), 4.0 + 24.0 + 8.0, "24 bytes have room for 8 bits");
        let many: Vec<Column> = (0..9).map(|_| null(1.0)).collect();
        assert_eq!(row_bytes(&many), 4.0 + 32.0);
        let dropped = Column { is_dropped: true, ..fixed(8) };
        let mut ten: Vec<Column> = (0..9).map(|_| fixed(8)).collect();
        ten.push(dropped);
        assert_eq!(row_bytes(&ten), 4.0 + 32.0 + 72.0, "a dropped column counts as a null");
    }

    #[test]
    fn entries_of_indexes() {
        // Eight bytes of header, eight of value, four in the list: 20 bytes a row, as PostgreSQL's documentation of
        // pageinspect shows with 16 of length.
        assert_eq!(entry_bytes(&[fixed(4)]), 20.0);
        let unique = IndexShape { block_bytes: 8_192.0, fill_percent: 90.0, rows: 1e6, shared: None };
        let pages = unique.pages(&[fixed(4)]);
        assert!((2_735.0..2_765.0).contains(&pages), "2,745 when built: {pages}");
        let equal = |keys, null_share| IndexShape { shared: Some(SharedKeys { keys, null_share }), ..unique };
        let shared = equal(10.0, 0.0);
        assert!(shared.pages(&[fixed(4)]) < pages / 2.5);
        assert_eq!(equal(9e5, 0.0).pages(&[fixed(4)]), pages);
        let half_null = equal(5e5, 0.5).pages(&[fixed(4)]);
        assert!((0.6..0.7).contains(&(half_null / pages)), "{half_null} of {pages}");
        let empty = IndexShape { rows: 0.0, ..unique };
        assert_eq!(empty.pages(&[fixed(4)]), 2.0);
    }
}
