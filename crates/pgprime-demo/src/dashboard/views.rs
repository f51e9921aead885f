//! The dashboard's views: declared as in the example of a configuration, which is part of the program.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use pgprime_client::Database;
use pgprime_views::{
    Action, ApplyOptions, Declarations, Policy, Reason, RefreshOutcome, ViewStatus, apply, plan, refresh,
    refresh_with_cache, status,
};

use super::report::{DashboardView, ViewsReport};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const CONFIG: &str = include_str!("../../../../config/pgprime.toml");
const FILES: [(&str, &str); 8] = [
    ("views/daily_quotes.sql", include_str!("../../../../config/views/daily_quotes.sql")),
    ("views/daily_premiums.sql", include_str!("../../../../config/views/daily_premiums.sql")),
    ("views/admin_activity.sql", include_str!("../../../../config/views/admin_activity.sql")),
    ("views/system_health.sql", include_str!("../../../../config/views/system_health.sql")),
    ("figures/quotes_by_month.sql", include_str!("../../../../config/figures/quotes_by_month.sql")),
    ("figures/loss_ratio_by_year.sql", include_str!("../../../../config/figures/loss_ratio_by_year.sql")),
    ("figures/admin_activity.sql", include_str!("../../../../config/figures/admin_activity.sql")),
    ("figures/system_health.sql", include_str!("../../../../config/figures/system_health.sql")),
];

/// Writes the configuration and the queries of its views and figures into a folder; gives the path of the former.
pub(super) fn write_config(folder: &Path) -> anyhow::Result<PathBuf> {
    let write = |path: PathBuf, text: &str| {
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display())).map(|()| path)
    };
    for part in ["views", "figures"] {
        let part = folder.join(part);
        std::fs::create_dir_all(&part).with_context(|| format!("creating {}", part.display()))?;
    }
    for (name, sql) in FILES {
        write(folder.join(name), sql)?;
    }
    write(folder.join("pgprime.toml"), CONFIG)
}

/// The views that are declared in it.
pub(super) fn declared(config: &Path) -> anyhow::Result<Declarations> {
    Declarations::read(config).context("the dashboard's views")
}

/// Makes them.
pub(super) async fn make(url: &str, declared: &Declarations) -> anyhow::Result<ViewsReport> {
    let client = pgprime_client::connect(url, CONNECT_TIMEOUT).await.context("making the views")?.client;
    let begun = Instant::now();
    let plan = plan(&client, declared).await?;
    if let Some(refused) = plan.items.iter().find(|item| item.action == Action::Refused) {
        bail!("the view {} cannot be made: {}", refused.view, refused.reason);
    }
    for applied in apply(&client, declared, &ApplyOptions::default()).await? {
        if let Some(error) = applied.error {
            bail!("the view {} was not made: {error}", applied.view);
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    // What a session has changed is counted when it ends: were it this one, the rows would count as changed since ANALYZE.
    drop(client);
    let client = pgprime_client::connect(url, CONNECT_TIMEOUT).await.context("looking at the views")?.client;
    for view in declared.views() {
        // Autovacuum would, a minute later.
        client.batch_execute(&format!("ANALYZE {}", view.name)).await.context("collecting statistics")?;
    }
    let status = status(&client, declared, &Policy::default()).await?;
    Ok(ViewsReport { seconds, views: status.views.iter().map(described).collect() })
}

fn described(status: &ViewStatus) -> DashboardView {
    DashboardView {
        name: status.view.to_string(),
        rows: status.rows.unwrap_or_default(),
        bytes: status.bytes.unwrap_or_default(),
        made_ms: status.duration_ms.unwrap_or_default(),
        blocks_readers: status.blocks_readers.clone(),
    }
}

/// Refreshes all of them now, and tells the cache.
pub(super) async fn refresh_all(
    url: &str,
    declared: &Declarations,
    database: &Database,
) -> anyhow::Result<()> {
    let client = pgprime_client::connect(url, CONNECT_TIMEOUT).await.context("refreshing the views")?.client;
    let policy = Policy::default();
    for declaration in declared.views() {
        let (view, asked) = (&declaration.name, Reason::Asked);
        let outcome = match database.cache() {
            Some(cache) => {
                refresh_with_cache(&client, view, Some(declaration), asked, &policy, cache).await?
            }
            None => refresh(&client, view, Some(declaration), asked, &policy).await?,
        };
        if let RefreshOutcome::Failed { view, error, .. } = outcome {
            bail!("the view {view} was not refreshed: {error}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use pgprime_views::Figures;

    use super::super::queries::DASHBOARD;
    use super::*;

    #[test]
    fn the_program_has_the_views_and_figures_of_the_example() {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/pgprime.toml");
        let folder = tempfile::tempdir().unwrap();
        let config = write_config(folder.path()).unwrap();
        let (own, figures) = (declared(&config).unwrap(), Figures::read(&config).unwrap());
        assert_eq!(own, declared(&example).unwrap());
        assert_eq!(figures, Figures::read(&example).unwrap());
        assert!(own.views().iter().all(|view| !view.unique_key.is_empty() && view.schedule.is_some()));
        assert_eq!(own.views().len() + figures.figures().len(), FILES.len());
        let shown: Vec<&str> = DASHBOARD.iter().map(|query| query.view.trim_end()).collect();
        let declared: Vec<&str> = figures.figures().iter().map(|figure| figure.sql.trim_end()).collect();
        assert_eq!(shown, declared);
    }
}
