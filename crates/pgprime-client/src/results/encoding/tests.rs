use proptest::prelude::*;

use super::*;

type Cells = Vec<Vec<Option<Vec<u8>>>>;

fn color() -> Type {
    let labels = vec!["red".to_owned(), "grün".to_owned()];
    Type::new("color".to_owned(), 70_000, Kind::Enum(labels), "shop".to_owned())
}

fn array(oid: u32, of: Type) -> Type {
    Type::new(format!("_{}", of.name()), oid, Kind::Array(of), "shop".to_owned())
}

fn domain(oid: u32, of: Type) -> Type {
    Type::new("checked".to_owned(), oid, Kind::Domain(of), "shop".to_owned())
}

/// Types in the kinds that are kept.
fn types() -> Vec<Type> {
    vec![
        Type::INT8,
        Type::TEXT_ARRAY,
        Type::NUMERIC,
        color(),
        array(70_001, color()),
        domain(70_002, Type::TEXT),
        domain(70_003, array(70_001, color())),
        array(70_004, domain(70_005, color())),
    ]
}

fn written(types: &[Type], cells: &Cells) -> Vec<u8> {
    let columns: Vec<CachedColumn> = types
        .iter()
        .enumerate()
        .map(|(number, type_)| CachedColumn::new(&format!("column {number}"), type_))
        .collect();
    let mut writer = Writer(Vec::new());
    writer.header(&columns).unwrap();
    writer.length(cells.len());
    cells.iter().flatten().for_each(|cell| writer.cell(cell.as_deref()));
    writer.0
}

fn read(bytes: Vec<u8>) -> Result<Body, Garbage> {
    Body::read(bytes.into(), &Header::default())
}

fn cells_of(body: &Body) -> Cells {
    let row = |start: &usize| {
        let value = |column| cell(&body.bytes, *start, column).map(<[u8]>::to_vec);
        (0..body.columns.len()).map(value).collect()
    };
    body.starts.iter().map(row).collect()
}

fn sample() -> (Vec<Type>, Cells) {
    let types = types();
    let row = |seed: usize| {
        let value = |column: usize| (!(column + seed).is_multiple_of(3)).then(|| vec![7; column * seed]);
        (0..types.len()).map(value).collect()
    };
    let cells = (0..4).map(row).collect();
    (types, cells)
}

#[test]
fn what_was_written_is_read() {
    let (types, cells) = sample();
    let body = read(written(&types, &cells)).unwrap();
    let found: Vec<&Type> = body.columns.iter().map(CachedColumn::type_).collect();
    assert_eq!(found, types.iter().collect::<Vec<_>>());
    assert_eq!(body.columns[3].type_().kind(), color().kind());
    assert_eq!(body.columns[3].name(), "column 3");
    assert_eq!(cells_of(&body), cells);
}

#[test]
fn columns_are_read_once() {
    let (types, cells) = sample();
    let first = read(written(&types, &cells)).unwrap();
    let header = first.header();
    let again = Body::read(written(&types, &cells[..1].to_vec()).into(), &header).unwrap();
    assert!(again.is_of(&header) && !first.is_of(&Header::default()));
    assert_eq!(cells_of(&again), cells[..1]);
    let other = Body::read(written(&types[..1], &vec![]).into(), &header).unwrap();
    assert!(!other.is_of(&header));
    assert_eq!(other.columns.len(), 1);
}

#[test]
fn other_types_are_not_kept_and_it_is_said_what_to_do() {
    let inner = vec![tokio_postgres::types::Field::new("a".to_owned(), Type::INT4)];
    let composite = Type::new("pair".to_owned(), 70_010, Kind::Composite(inner), "shop".to_owned());
    let range = Type::new("span".to_owned(), 70_011, Kind::Range(color()), "shop".to_owned());
    for type_ in [composite.clone(), range, array(70_012, composite)] {
        let columns = [CachedColumn::new("a", &Type::INT4), CachedColumn::new("it", &type_)];
        let reason = Writer(Vec::new()).header(&columns).unwrap_err();
        assert!(reason.starts_with("its column \"it\" has the type shop."), "{reason}");
        assert!(reason.contains("cast it to text"), "{reason}");
    }
}

#[test]
fn cut_at_every_byte_it_is_garbage() {
    let (types, cells) = sample();
    let whole = written(&types, &cells);
    for length in 0..whole.len() {
        assert_eq!(read(whole[..length].to_vec()).err(), Some(Garbage), "{length}");
    }
    let mut longer = whole;
    longer.push(0);
    assert_eq!(read(longer).err(), Some(Garbage));
}

#[test]
fn numbers_that_are_too_large_take_no_memory() {
    let mut rows = written(&[Type::INT4], &vec![]);
    let at = rows.len() - 4;
    rows[at..].copy_from_slice(&u32::MAX.to_be_bytes());
    assert_eq!(read(rows).err(), Some(Garbage));
    // Rows without columns have no bytes.
    let mut none = written(&[], &vec![]);
    let at = none.len() - 4;
    none[at..].copy_from_slice(&3_u32.to_be_bytes());
    assert_eq!(read(none.clone()).unwrap().starts.len(), 3);
    none[at..].copy_from_slice(&u32::MAX.to_be_bytes());
    assert_eq!(read(none).err(), Some(Garbage));
    // A type within a type within …
    let mut nested = vec![VERSION, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    for _ in 0..1_000_000 {
        nested.extend_from_slice(&[ARRAY, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
    let length = u32::try_from(nested.len() - HEADER_START).unwrap();
    nested[1..HEADER_START].copy_from_slice(&length.to_be_bytes());
    assert_eq!(read(nested).err(), Some(Garbage));
}

proptest! {
    #[test]
    fn any_cells_come_back(
        cells in prop::collection::vec(
            prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..40)), 8),
            0..20,
        )
    ) {
        prop_assert_eq!(cells_of(&read(written(&types(), &cells)).unwrap()), cells);
    }

    #[test]
    fn any_bytes_are_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..200), is_ours in any::<bool>()) {
        if let Some(first) = bytes.first_mut().filter(|_| is_ours) {
            *first = VERSION;
        }
        if let Ok(body) = read(bytes) {
            cells_of(&body);
        }
    }

    #[test]
    fn one_wrong_byte_makes_no_panic(at in any::<prop::sample::Index>(), value in any::<u8>()) {
        let (types, cells) = sample();
        let mut bytes = written(&types, &cells);
        let at = at.index(bytes.len());
        bytes[at] = value;
        if let Ok(body) = read(bytes) {
            cells_of(&body);
        }
    }
}
