//! TPC-H's tables, generated here, and what Q1 and Q6 have to answer, summed up from the very rows.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::io::Cursor;

use futures_util::SinkExt as _;
use tokio_postgres::Client;
use tpchgen::csv::{
    CustomerCsv, LineItemCsv, NationCsv, OrderCsv, PartCsv, PartSuppCsv, RegionCsv, SupplierCsv,
};
use tpchgen::distribution::Distributions;
use tpchgen::generators::{
    CustomerGenerator, LineItem, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator,
    PartSuppGenerator, RegionGenerator, SupplierGenerator,
};
use tpchgen::text::TextPool;

/// Rows go to COPY in pieces of about this size.
const COPY_BYTES: usize = 256 << 10;
/// The pool of words that dbgen takes comments from has 300 MiB, which take long to write for few rows.
const SMALL_POOL_BYTES: i32 = 4 << 20;
const SMALL_SCALE_MAX: f64 = 0.09;

const TABLES_SQL: &str = include_str!("tables.sql");
const KEYS_SQL: &str = include_str!("keys.sql");

/// Sums over the rows of lineitem, in hundredths and their products.
#[derive(Debug, Default)]
pub(super) struct Reference {
    /// Q1's groups: return flag and line status.
    pub(super) groups: BTreeMap<(String, String), Group>,
    /// Q6's revenue, in ten-thousandths.
    pub(super) revenue: i128,
}

/// One group of Q1.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) rows: i128,
    /// Whole numbers.
    pub(super) quantity: i128,
    /// In hundredths.
    pub(super) base_price: i128,
    /// In ten-thousandths.
    pub(super) discounted_price: i128,
    /// In millionths.
    pub(super) charge: i128,
    /// In hundredths.
    pub(super) discount: i128,
}

impl Reference {
    fn add(&mut self, row: &LineItem<'_>) {
        let (price, discount) = (i128::from(row.l_extendedprice.0), i128::from(row.l_discount.0));
        let (quantity, shipped) = (i128::from(row.l_quantity), row.l_shipdate.to_string());
        // 90 days before 1998-12-01.
        if *"1998-09-02" >= *shipped {
            let key = (row.l_returnflag.to_owned(), row.l_linestatus.to_owned());
            let group = self.groups.entry(key).or_default();
            group.rows += 1;
            group.quantity += quantity;
            group.base_price += price;
            group.discounted_price += price * (100 - discount);
            group.charge += price * (100 - discount) * (100 + i128::from(row.l_tax.0));
            group.discount += discount;
        }
        if shipped.starts_with("1994-") && (5..=7).contains(&discount) && quantity < 24 {
            self.revenue += price * discount;
        }
    }
}

/// Creates and fills the tables: primary keys, no other index, statistics.
pub(super) async fn load(client: &Client, scale: f64) -> Reference {
    client.batch_execute(TABLES_SQL).await.unwrap();
    let words = Distributions::static_default();
    let small;
    let pool = if scale < SMALL_SCALE_MAX {
        small = TextPool::new(SMALL_POOL_BYTES, words);
        &small
    } else {
        TextPool::get_or_init_default()
    };
    let mut copies = Copies { client };
    let regions = RegionGenerator::default();
    copies.table("region", regions.iter().map(RegionCsv::new)).await;
    let nations = NationGenerator::default();
    copies.table("nation", nations.iter().map(NationCsv::new)).await;
    let parts = PartGenerator::new_with_distributions_and_text_pool(scale, 1, 1, words, pool);
    copies.table("part", parts.iter().map(PartCsv::new)).await;
    let suppliers = SupplierGenerator::new_with_distributions_and_text_pool(scale, 1, 1, words, pool);
    copies.table("supplier", suppliers.iter().map(SupplierCsv::new)).await;
    let part_suppliers = PartSuppGenerator::new_with_text_pool(scale, 1, 1, pool);
    copies.table("partsupp", part_suppliers.iter().map(PartSuppCsv::new)).await;
    let customers = CustomerGenerator::new_with_distributions_and_text_pool(scale, 1, 1, words, pool);
    copies.table("customer", customers.iter().map(CustomerCsv::new)).await;
    let orders = OrderGenerator::new_with_distributions_and_text_pool(scale, 1, 1, words, pool);
    copies.table("orders", orders.iter().map(OrderCsv::new)).await;
    let items = LineItemGenerator::new_with_distributions_and_text_pool(scale, 1, 1, words, pool);
    let mut reference = Reference::default();
    let items = items.iter().inspect(|row| reference.add(row));
    copies.table("lineitem", items.map(LineItemCsv::new)).await;
    client.batch_execute(KEYS_SQL).await.unwrap();
    client.batch_execute("VACUUM ANALYZE").await.unwrap();
    reference
}

struct Copies<'a> {
    client: &'a Client,
}

impl Copies<'_> {
    async fn table(&mut self, name: &str, rows: impl Iterator<Item = impl Display>) {
        let sink = self.client.copy_in(&format!("COPY {name} FROM STDIN (FORMAT csv)")).await.unwrap();
        let mut sink = std::pin::pin!(sink);
        let mut piece = String::with_capacity(2 * COPY_BYTES);
        for row in rows {
            writeln!(piece, "{row}").unwrap();
            if piece.len() >= COPY_BYTES {
                sink.feed(Cursor::new(std::mem::take(&mut piece))).await.unwrap();
            }
        }
        sink.send(Cursor::new(piece)).await.unwrap();
        sink.finish().await.unwrap();
    }
}
