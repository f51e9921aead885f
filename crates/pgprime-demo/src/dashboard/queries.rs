//! What the dashboard asks: each query over the base tables, and from the view that was made for it.

/// How the answers of a query are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compared {
    /// Byte for byte.
    Whole,
    /// The names of the figures: what they are of is never the same twice.
    Names,
}

/// A query of the dashboard.
#[derive(Clone, Copy, Debug)]
pub(super) struct DashboardQuery {
    pub(super) name: &'static str,
    /// Over the base tables.
    pub(super) raw: &'static str,
    /// From the view: a figure of the example of a configuration.
    pub(super) view: &'static str,
    /// How the answer over the base tables and the one from the view are compared.
    pub(super) compared: Compared,
}

/// All that the dashboard shows.
pub(super) const DASHBOARD: [DashboardQuery; 4] = [
    DashboardQuery {
        name: "quotes by month",
        raw: include_str!("../../sql/dashboard/quotes_by_month.sql"),
        view: include_str!("../../../../config/figures/quotes_by_month.sql"),
        compared: Compared::Whole,
    },
    DashboardQuery {
        name: "loss ratio by year",
        raw: include_str!("../../sql/dashboard/loss_ratio_by_year.sql"),
        view: include_str!("../../../../config/figures/loss_ratio_by_year.sql"),
        compared: Compared::Whole,
    },
    DashboardQuery {
        name: "admin activity",
        raw: include_str!("../../sql/dashboard/admin_activity.sql"),
        view: include_str!("../../../../config/figures/admin_activity.sql"),
        compared: Compared::Whole,
    },
    DashboardQuery {
        name: "system health",
        raw: concat!(
            "SELECT metric, label, value FROM (\n",
            include_str!("../../../../config/views/system_health.sql"),
            ") AS health ORDER BY metric, label"
        ),
        view: include_str!("../../../../config/figures/system_health.sql"),
        compared: Compared::Names,
    },
];

/// What a heavy report asks: the queries over the base tables that read much.
pub(super) fn heavy() -> impl Iterator<Item = &'static str> + Clone {
    DASHBOARD.iter().filter(|query| query.compared == Compared::Whole).map(|query| query.raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heavy_report_reads_the_base_tables() {
        assert_eq!(heavy().count(), 3);
        assert!(heavy().all(|sql| sql.contains("public.") && !sql.contains("admin.")));
        assert!(DASHBOARD.iter().all(|query| query.view.contains("FROM admin.")));
    }
}
