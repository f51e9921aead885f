//! Reads the catalogs.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use thiserror::Error;
use tokio_postgres::types::{FromSql, ToSql, Type};
use tokio_postgres::{Client, Row};

use crate::builtin::RESULT_SETTINGS;
use crate::catalog::{
    Catalog, Definition, Events, Function, FunctionKind, Operator, Referring, Relation, RelationKind,
    RowSecurity, Rule, SYSTEM, Signature, Trigger, Volatility, is_system, is_temporary,
};

/// Relations, and functions, up to this number are held in memory.
const OBJECTS_MAX: usize = 200_000;

/// One snapshot for all queries; nothing of it stays in the session.
const BEGIN: &str = "BEGIN /* pgprime */ ISOLATION LEVEL REPEATABLE READ, READ ONLY, NOT DEFERRABLE;
    SET /* pgprime */ LOCAL \"STATEMENT_TIMEOUT\" = '10s'; SET /* pgprime */ LOCAL \"LOCK_TIMEOUT\" = '1s'";
/// With an empty path, definitions name the schema of everything.
const QUALIFY: &str =
    "SET /* pgprime */ LOCAL \"SEARCH_PATH\" = ''; SET /* pgprime */ LOCAL \"QUOTE_ALL_IDENTIFIERS\" = off";

/// The first version that has bodies of SQL bound to what they name.
const BOUND_VERSION: i32 = 140_000;

/// The schema and the name of pgprime's own trigger function.
const NOTIFY: (&str, &str) = ("pgprime", "notify_change");

/// The catalogs could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The database refused or was lost.
    #[error("reading the catalogs: {0}")]
    Database(#[from] tokio_postgres::Error),
    /// There is more in the database than is held in memory.
    #[error("the database has more than {max} {what}")]
    TooMany {
        /// Of what: `relations`.
        what: &'static str,
        /// How many are held.
        max: usize,
    },
}

pub(crate) async fn catalog(client: &Client) -> Result<Catalog, LoadError> {
    client.batch_execute(BEGIN).await?;
    match read(client).await {
        Ok(catalog) => {
            client.batch_execute("COMMIT").await?;
            Ok(catalog)
        }
        Err(error) => {
            // What went wrong is said already; a connection that is gone has rolled back by itself.
            let _ = client.batch_execute("ROLLBACK").await;
            Err(error)
        }
    }
}

async fn read(client: &Client) -> Result<Catalog, LoadError> {
    let mut loader = Loader::default();
    let version = loader.environment(client).await?;
    client.batch_execute(QUALIFY).await?;
    loader.relations(&limited(client, include_str!("../sql/relations.sql"), "relations").await?)?;
    let functions = include_str!("../sql/functions.sql");
    let functions = match version {
        BOUND_VERSION.. => functions.replace("/*body*/NULL::text", "pg_get_function_sqlbody(p.oid)"),
        _ => functions.to_owned(),
    };
    loader.functions(&limited(client, &functions, "functions").await?)?;
    loader.inheritance(&rows(client, include_str!("../sql/inheritance.sql")).await?)?;
    loader.references(&rows(client, include_str!("../sql/references.sql")).await?)?;
    loader.triggers(&rows(client, include_str!("../sql/triggers.sql")).await?)?;
    loader.rules(&rows(client, include_str!("../sql/rules.sql")).await?)?;
    loader.attached(&rows(client, include_str!("../sql/attached.sql")).await?)?;
    loader.system_functions(&rows(client, include_str!("../sql/system_functions.sql")).await?)?;
    loader.operators(&rows(client, include_str!("../sql/operators.sql")).await?)?;
    loader.types(&rows(client, include_str!("../sql/types.sql")).await?)?;
    Ok(loader.catalog)
}

/// Unnamed and with its types: nothing is kept in the session, which may be behind a transaction pooler.
async fn rows(client: &Client, sql: &str) -> Result<Vec<Row>, LoadError> {
    Ok(client.query_typed(sql, &[]).await?)
}

async fn limited(client: &Client, sql: &str, what: &'static str) -> Result<Vec<Row>, LoadError> {
    let limit = i64::try_from(OBJECTS_MAX).unwrap_or(i64::MAX).saturating_add(1);
    let parameter: &(dyn ToSql + Sync) = &limit;
    let rows = client.query_typed(sql, &[(parameter, Type::INT8)]).await?;
    if rows.len() > OBJECTS_MAX {
        return Err(LoadError::TooMany { what, max: OBJECTS_MAX });
    }
    Ok(rows)
}

/// A value of a row.
fn value<'a, T: FromSql<'a>>(row: &'a Row, name: &str) -> Result<T, LoadError> {
    Ok(row.try_get(name)?)
}

#[derive(Default)]
struct Loader {
    catalog: Catalog,
    /// Places by oid.
    relations: BTreeMap<u32, usize>,
    functions: BTreeMap<u32, usize>,
    /// pgprime's own trigger function.
    notify: Option<u32>,
    event_triggers: Vec<u32>,
    texts: HashSet<Arc<str>>,
}

impl Loader {
    fn shared(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let text: Arc<str> = text.into();
        self.texts.insert(Arc::clone(&text));
        text
    }

    /// The functions of people among these.
    fn known(&self, oids: &[u32]) -> Vec<usize> {
        oids.iter().filter_map(|oid| self.functions.get(oid).copied()).collect()
    }

    async fn environment(&mut self, client: &Client) -> Result<i32, LoadError> {
        let names: &(dyn ToSql + Sync) = &RESULT_SETTINGS;
        let sql = include_str!("../sql/environment.sql");
        let rows = client.query_typed(sql, &[(names, Type::TEXT_ARRAY)]).await?;
        let Some(row) = rows.first() else { return Ok(0) };
        let names: Vec<String> = value(row, "names")?;
        let settings: Vec<String> = value(row, "settings")?;
        let path: Vec<String> = value(row, "search_path")?;
        let path: Vec<String> = path.into_iter().filter(|schema| !is_temporary(schema)).collect();
        let schemas: Vec<String> = value(row, "schemas")?;
        let exempt: Vec<u32> = value(row, "exempt")?;
        let catalog = &mut self.catalog;
        catalog.database = value(row, "database")?;
        catalog.role = value(row, "role")?;
        catalog.path = path.iter().map(|schema| schema.as_str().into()).collect();
        catalog.search_path = path;
        catalog.settings = names.into_iter().zip(settings).collect();
        catalog.has_standard_strings = !catalog
            .settings
            .iter()
            .any(|(name, value)| name == "standard_conforming_strings" && value == "off");
        catalog.anywhere = schemas.iter().map(|schema| schema.as_str().into()).collect();
        catalog.schemas = schemas.into_iter().collect();
        catalog.surroundings = format!("surroundings {}", value::<i64>(row, "surroundings")?);
        catalog.isolation = value(row, "isolation")?;
        self.event_triggers = value(row, "event_triggers")?;
        catalog.exempt = exempt.into_iter().collect();
        value(row, "version")
    }

    fn relations(&mut self, rows: &[Row]) -> Result<(), LoadError> {
        for row in rows {
            let id = self.catalog.relations.len();
            let relation = self.relation(row)?;
            self.relations.insert(relation.oid, id);
            self.catalog.relations_by_name.entry(value(row, "name")?).or_default().push(id);
            self.catalog.relations.push(relation);
        }
        Ok(())
    }

    fn relation(&mut self, row: &Row) -> Result<Relation, LoadError> {
        let schema: &str = value(row, "schema")?;
        let display: &str = value(row, "display")?;
        Ok(Relation {
            oid: value(row, "oid")?,
            is_system: is_system(schema),
            schema: self.shared(schema),
            display: display.into(),
            kind: match value(row, "kind")? {
                "p" => RelationKind::Partitioned,
                "v" => RelationKind::View,
                "m" => RelationKind::MaterializedView,
                "f" => RelationKind::Foreign,
                "S" => RelationKind::Sequence,
                _ => RelationKind::Table,
            },
            is_temporary: value::<&str>(row, "persistence")? == "t",
            owner: value(row, "owner")?,
            row_security: RowSecurity {
                is_enabled: value(row, "has_row_security")?,
                holds_for_owner: value(row, "holds_for_owner")?,
                holds: value(row, "holds")?,
            },
            is_invoker: value(row, "is_invoker")?,
            definition: definition(value(row, "is_defined")?, value(row, "definition")?),
            columns: value(row, "columns")?,
            parents: Vec::new(),
            children: Vec::new(),
            referring: Vec::new(),
            triggers: Vec::new(),
            rules: Vec::new(),
            on_write: Vec::new(),
            on_read: Vec::new(),
        })
    }

    fn functions(&mut self, rows: &[Row]) -> Result<(), LoadError> {
        for row in rows {
            let id = self.catalog.functions.len();
            let oid: u32 = value(row, "oid")?;
            let name: String = value(row, "name")?;
            if (value::<&str>(row, "schema")?, name.as_str()) == NOTIFY {
                self.notify = Some(oid);
            }
            self.functions.insert(oid, id);
            self.catalog.functions_by_name.entry(name).or_default().push(id);
            let function = self.function(row)?;
            self.catalog.functions.push(function);
        }
        for (id, row) in rows.iter().enumerate() {
            let called: Vec<u32> = value(row, "calls")?;
            let parts: Vec<u32> = value(row, "parts")?;
            self.catalog.functions[id].calls = self.known(&[called, parts].concat());
        }
        self.catalog.event_triggers = self.known(&self.event_triggers);
        Ok(())
    }

    fn function(&mut self, row: &Row) -> Result<Function, LoadError> {
        let kind = match value(row, "kind")? {
            "p" => FunctionKind::Procedure,
            "a" => FunctionKind::Aggregate,
            _ => FunctionKind::Function,
        };
        let is_definer: bool = value(row, "is_definer")?;
        let settings: Vec<String> = value(row, "settings")?;
        let path = settings.iter().find_map(|setting| setting.strip_prefix("search_path="));
        let source: Option<&str> = value(row, "source")?;
        let body: Option<&str> = value(row, "body")?;
        let language: &str = value(row, "language")?;
        let display: &str = value(row, "display")?;
        let count = |name| Ok::<_, LoadError>(usize::try_from(value::<i32>(row, name)?).unwrap_or(0));
        Ok(Function {
            schema: self.shared(value(row, "schema")?),
            display: display.into(),
            signature: Signature {
                arguments_min: count("arguments_min")?,
                arguments_max: count("arguments_max")?,
                is_variadic: value(row, "is_variadic")?,
                volatility: match value(row, "volatility")? {
                    "i" => Volatility::Immutable,
                    "s" => Volatility::Stable,
                    _ => Volatility::Volatile,
                },
            },
            kind,
            language: self.shared(language),
            is_definer,
            takes_row: value::<Option<bool>>(row, "takes_row")?.unwrap_or(false),
            path: path.map(|path| self.catalog.path_of(path, is_definer)),
            extension: value(row, "extension")?,
            arguments: value::<Option<String>>(row, "arguments")?.unwrap_or_default(),
            result: value(row, "result")?,
            is_bound: body.is_some(),
            source: definition(matches!(language, "sql" | "plpgsql"), body.or(source)),
            hash: value(row, "hash")?,
            calls: Vec::new(),
        })
    }

    fn inheritance(&mut self, rows: &[Row]) -> Result<(), LoadError> {
        for row in rows {
            let parent = self.relations.get(&value(row, "parent")?);
            let child = self.relations.get(&value(row, "child")?);
            // Indexes are partitioned, too.
            if let (Some(&parent), Some(&child)) = (parent, child) {
                self.catalog.relations[parent].children.push(child);
                self.catalog.relations[child].parents.push(parent);
            }
        }
        Ok(())
    }

    fn references(&mut self, rows: &[Row]) -> Result<(), LoadError> {
        for row in rows {
            let referenced = self.relations.get(&value(row, "referenced")?);
            let referring = self.relations.get(&value(row, "referring")?);
            let (Some(&referenced), Some(&relation)) = (referenced, referring) else { continue };
            let on_delete = match value(row, "on_delete")? {
                "c" => Some(Events::DELETE),
                "n" | "d" => Some(Events::UPDATE),
                _ => None,
            };
            let on_update = match value(row, "on_update")? {
                "c" | "n" | "d" => Some(Events::UPDATE),
                _ => None,
            };
            self.catalog.relations[referenced].referring.push(Referring { relation, on_delete, on_update });
        }
        Ok(())
    }

    fn triggers(&mut self, rows: &[Row]) -> Result<(), LoadError> {
        for row in rows {
            let Some(&relation) = self.relations.get(&value(row, "relation")?) else { continue };
            let function: u32 = value(row, "function")?;
            if self.notify == Some(function) {
                let display = self.catalog.relations[relation].display.to_string();
                self.catalog.notify_triggers.insert(display);
                continue;
            }
            let kind: i32 = value(row, "type")?;
            let conditions: Vec<u32> = value(row, "conditions")?;
            let trigger = Trigger {
                events: Events::of_type(kind),
                is_instead: kind & TRIGGER_INSTEAD != 0,
                function: self.functions.get(&function).copied(),
                conditions: self.known(&conditions),
            };
            self.catalog.relations[relation].triggers.push(trigger);
        }
        Ok(())
    }

    fn rules(&mut self, rows: &[Row]) -> Result<(), LoadError> {
        for row in rows {
            let Some(&relation) = self.relations.get(&value(row, "relation")?) else { continue };
            let rule = Rule {
                events: match value(row, "event")? {
                    "2" => Events::UPDATE,
                    "3" => Events::INSERT,
                    _ => Events::DELETE,
                },
                replaces: value(row, "replaces")?,
                definition: definition(true, value(row, "definition")?),
            };
            self.catalog.relations[relation].rules.push(rule);
        }
        Ok(())
    }

    fn attached(&mut self, rows: &[Row]) -> Result<(), LoadError> {
        for row in rows {
            let relation = self.relations.get(&value(row, "relation")?);
            let function = self.functions.get(&value(row, "function")?);
            let (Some(&relation), Some(&function)) = (relation, function) else { continue };
            let relation = &mut self.catalog.relations[relation];
            relation.on_write.push(function);
            if value(row, "is_for_reads")? {
                relation.on_read.push(function);
            }
        }
        Ok(())
    }

    fn system_functions(&mut self, rows: &[Row]) -> Result<(), LoadError> {
        let mut all: HashMap<String, Vec<Signature>> = HashMap::new();
        for row in rows {
            let count = |name| Ok::<_, LoadError>(usize::try_from(value::<i32>(row, name)?).unwrap_or(0));
            let signature = Signature {
                arguments_min: count("arguments_min")?,
                arguments_max: count("arguments_max")?,
                is_variadic: value(row, "is_variadic")?,
                volatility: match value::<i32>(row, "volatility")? {
                    0 => Volatility::Immutable,
                    1 => Volatility::Stable,
                    _ => Volatility::Volatile,
                },
            };
            all.entry(value(row, "name")?).or_default().push(signature);
        }
        self.catalog.system_functions = all;
        Ok(())
    }

    fn operators(&mut self, rows: &[Row]) -> Result<(), LoadError> {
        for row in rows {
            let name: String = value(row, "name")?;
            let schema: &str = value(row, "schema")?;
            let function: Option<u32> = value(row, "function")?;
            let function = function.and_then(|oid| self.functions.get(&oid).copied());
            match function {
                Some(function) if schema != SYSTEM => {
                    let schema = self.shared(schema);
                    self.catalog.operators.entry(name).or_default().push(Operator { schema, function });
                }
                // PostgreSQL's own, or one that stands for a function of PostgreSQL's own, none of which does harm.
                _ => drop(self.catalog.system_operators.insert(name)),
            }
        }
        Ok(())
    }

    fn types(&mut self, rows: &[Row]) -> Result<(), LoadError> {
        for row in rows {
            let Some(&function) = self.functions.get(&value(row, "function")?) else { continue };
            self.catalog.type_functions.entry(value(row, "name")?).or_default().push(function);
            if value(row, "is_implicit")? {
                self.catalog.implicit_casts.push(function);
            }
        }
        Ok(())
    }
}

/// INSTEAD OF, in a trigger's type.
const TRIGGER_INSTEAD: i32 = 64;

fn definition(is_defined: bool, text: Option<&str>) -> Definition {
    match text {
        Some(text) => Definition::Text(text.into()),
        None if is_defined => Definition::TooLong,
        None => Definition::None,
    }
}
