//! Storage parameters of a table or index, which win over the server's settings.

/// Storage parameters, as `fillfactor=50`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RelOptions<'a>(pub(crate) &'a [String]);

impl RelOptions<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find_map(|option| option.strip_prefix(name)?.strip_prefix('='))
    }

    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        self.text(name)?.parse().ok()
    }

    /// The server accepts every unambiguous beginning of true, false, yes and no, and on, off, 1 and 0.
    pub(crate) fn switch(&self, name: &str) -> Option<bool> {
        let value = self.text(name)?.to_ascii_lowercase();
        Some(!(value == "0" || value.starts_with(['f', 'n']) || value == "of" || value == "off"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_by_name() {
        let options = ["fillfactor=50", "autovacuum_enabled=OFF", "autovacuum_vacuum_threshold=7"];
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let options = RelOptions(&options);
        assert_eq!(options.number("fillfactor"), Some(50.0));
        assert_eq!(options.number("autovacuum_vacuum_threshold"), Some(7.0));
        assert_eq!(options.number("autovacuum_vacuum"), None);
        assert_eq!(options.switch("autovacuum_enabled"), Some(false));
        for (text, expected) in
            [("x=on", true), ("x=true", true), ("x=no", false), ("x=1", true), ("x=f", false)]
        {
            assert_eq!(RelOptions(&[text.to_owned()]).switch("x"), Some(expected), "{text}");
        }
    }
}
