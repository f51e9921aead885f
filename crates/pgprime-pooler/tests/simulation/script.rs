//! What clients send: random units of messages, most of them sensible.

use fastrand::Rng;
use pgprime_wire::frontend::encode;
use pgprime_wire::tag::frontend as tag;

/// Bytes to be sent at once, and whether everything before must have been answered.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) bytes: Vec<u8>,
    pub(crate) waits: bool,
    pub(crate) note: String,
}

/// What may occur in a script.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flavour {
    pub(crate) extended: bool,
    pub(crate) copies: bool,
    pub(crate) large: bool,
    pub(crate) settings: bool,
    pub(crate) sleeps: bool,
    pub(crate) transactions: bool,
    /// Statements that change the session for good: only where the server stays with the client.
    pub(crate) statements: bool,
}

/// Writes one client's script.
#[derive(Debug)]
pub(crate) struct Writer {
    client: u32,
    request: u64,
    names: Vec<String>,
    next_name: u32,
    flavour: Flavour,
}

impl Writer {
    pub(crate) fn new(client: u32, flavour: Flavour) -> Self {
        Self { client, request: 0, names: Vec::new(), next_name: 0, flavour }
    }

    fn id(&mut self) -> String {
        self.request += 1;
        format!("c{}r{}", self.client, self.request)
    }

    /// A unit of work; some are sent all at once, without waiting for answers.
    pub(crate) fn unit(&mut self, rng: &mut Rng) -> Vec<Part> {
        let mut parts = match rng.u8(0..10) {
            0 if self.flavour.transactions => self.transaction(rng),
            1 => {
                let mut parts = Vec::new();
                for _ in 0..rng.usize(2..5) {
                    parts.extend(self.request(rng));
                }
                parts.iter_mut().skip(1).for_each(|part| part.waits &= rng.u8(0..8) == 0);
                parts
            }
            _ => self.request(rng),
        };
        if let Some(first) = parts.first_mut() {
            first.waits |= rng.u8(0..10) > 0;
        }
        parts
    }

    fn transaction(&mut self, rng: &mut Rng) -> Vec<Part> {
        let mut parts = vec![self.query("BEGIN")];
        let pipelined = rng.u8(0..4) == 0;
        for _ in 0..rng.usize(0..4) {
            parts.extend(self.request(rng));
        }
        let end = if rng.bool() { "COMMIT" } else { "ROLLBACK" };
        parts.push(self.query(end));
        for part in &mut parts {
            part.waits |= !pipelined;
        }
        parts
    }

    fn request(&mut self, rng: &mut Rng) -> Vec<Part> {
        match rng.u8(0..20) {
            0..=3 => vec![self.simple(rng)],
            4 => vec![self.several(rng)],
            5 if self.flavour.settings => vec![self.setting(rng)],
            6 if self.flavour.copies => self.copy(rng),
            7 if self.flavour.sleeps => vec![self.query("SLEEP")],
            8 => self.odd(rng),
            9 if self.flavour.statements => self.forget(rng),
            10 if self.flavour.extended => self.step_by_step(rng),
            11.. if self.flavour.extended => vec![self.batch(rng)],
            _ => vec![self.simple(rng)],
        }
    }

    fn query(&mut self, verb: &str) -> Part {
        let text = format!("{verb} #{}", self.id());
        simple_query(&text)
    }

    fn simple(&mut self, rng: &mut Rng) -> Part {
        let id = self.id();
        let mut text = match rng.u8(0..8) {
            0 => format!("INSERT #{id}"),
            1 => format!("FAIL #{id}"),
            2 => format!("NOTICE #{id}"),
            3 => format!("SYNTAX #{id}"),
            _ => format!("SELECT {} {} #{id}", rng.usize(0..4), self.size(rng)),
        };
        if self.flavour.large && rng.u8(0..12) == 0 {
            text.push(' ');
            text.push_str(&"x".repeat(rng.usize(10_000..60_000)));
        }
        simple_query(&text)
    }

    fn several(&mut self, rng: &mut Rng) -> Part {
        let mut text = Vec::new();
        for _ in 0..rng.usize(0..4) {
            let id = self.id();
            text.push(match rng.u8(0..8) {
                0 => format!("FAIL #{id}"),
                1 if self.flavour.transactions => format!("BEGIN #{id}"),
                2 if self.flavour.transactions => format!("COMMIT #{id}"),
                3 if self.flavour.settings => format!("SET TimeZone='zone {}' #{id}", rng.u8(0..3)),
                4 => format!("INSERT #{id}"),
                _ => format!("SELECT 1 0 #{id}"),
            });
        }
        simple_query(&text.join(";"))
    }

    fn setting(&mut self, rng: &mut Rng) -> Part {
        let id = self.id();
        let text = match rng.u8(0..10) {
            0 => format!("SET search_path='s{}' #{id}", rng.u8(0..3)),
            1 => format!("RESET TimeZone #{id}; SET work_mem='1' #{}", self.id()),
            2 => format!("RESET ALL #{id}"),
            3 => format!("SET TimeZone='a' #{id}; SET search_path='b' #{}", self.id()),
            4..=6 => format!("SHOW {} #{id}", ["TimeZone", "application_name", "DateStyle"][rng.usize(0..3)]),
            7 => format!("SET application_name='it''s {}' #{id}", rng.u8(0..3)),
            _ => format!("SET TimeZone='zone {}' #{id}", rng.u8(0..3)),
        };
        simple_query(&text)
    }

    fn size(&self, rng: &mut Rng) -> usize {
        match rng.u8(0..20) {
            0 if self.flavour.large => rng.usize(20_000..90_000),
            1 => rng.usize(100..3_000),
            _ => rng.usize(0..20),
        }
    }

    fn copy(&mut self, rng: &mut Rng) -> Vec<Part> {
        let id = self.id();
        if rng.u8(0..3) == 0 {
            return vec![simple_query(&format!("COPYOUT {} {} #{id}", rng.usize(0..5), self.size(rng)))];
        }
        let mut parts = Vec::new();
        let is_simple = !self.flavour.extended || rng.bool();
        let early_sync = rng.bool();
        if is_simple {
            let fails = if rng.u8(0..8) == 0 { "FAIL" } else { "COPYIN" };
            parts.push(simple_query(&format!("{fails} #{id}; SELECT 1 0 #{}", self.id())));
        } else {
            let mut bytes = Vec::new();
            encode::parse(&mut bytes, b"", b"COPYIN $1", b"");
            encode::bind_text(&mut bytes, b"", b"", &[Some(id.as_bytes())]);
            encode::execute(&mut bytes, b"", 0);
            if early_sync {
                encode::sync(&mut bytes);
            } else {
                encode::flush(&mut bytes);
            }
            parts.push(Part { bytes, waits: false, note: format!("COPYIN by {id}") });
        }
        let waits = rng.bool();
        for _ in 0..rng.usize(0..4) {
            let data = match rng.u8(0..10) {
                0 => b"BAD".to_vec(),
                1 if self.flavour.large => vec![b'.'; rng.usize(10_000..50_000)],
                _ => vec![b'.'; rng.usize(0..50)],
            };
            let mut bytes = Vec::new();
            encode::copy_data(&mut bytes, &data);
            parts.push(Part { bytes, waits, note: format!("CopyData {}", data.len()) });
        }
        let mut bytes = Vec::new();
        if rng.u8(0..5) == 0 {
            encode::copy_fail(&mut bytes, "no")
        } else {
            encode::copy_done(&mut bytes)
        }
        if !is_simple {
            encode::sync(&mut bytes);
        }
        parts.push(Part { bytes, waits, note: "end of COPY".into() });
        parts
    }

    /// Messages that are unusual, or that mean nothing.
    fn odd(&mut self, rng: &mut Rng) -> Vec<Part> {
        let mut bytes = Vec::new();
        let note = match rng.u8(0..7) {
            0 => {
                encode::sync(&mut bytes);
                "Sync"
            }
            1 => {
                encode::flush(&mut bytes);
                "Flush"
            }
            2 => {
                encode::copy_data(&mut bytes, b"stray");
                encode::copy_done(&mut bytes);
                "stray COPY"
            }
            3 => {
                bytes.extend_from_slice(&[tag::FUNCTION_CALL, 0, 0, 0, 8, 0, 0, 0, 1]);
                "FunctionCall"
            }
            4 => {
                encode::query(&mut bytes, b" ");
                "empty query"
            }
            5 => {
                encode::sync(&mut bytes);
                encode::sync(&mut bytes);
                "Sync, Sync"
            }
            _ if self.flavour.extended => {
                // A simple query ends an extended request as Sync does.
                let id = self.id();
                encode::parse(&mut bytes, b"", b"SELECT 1 0 $1", b"");
                encode::bind_text(&mut bytes, b"", b"", &[Some(id.as_bytes())]);
                encode::execute(&mut bytes, b"", 0);
                encode::query(&mut bytes, format!("SELECT 1 0 #{}", self.id()).as_bytes());
                "extended without Sync"
            }
            _ => {
                encode::sync(&mut bytes);
                "Sync"
            }
        };
        vec![Part { bytes, waits: false, note: note.into() }]
    }

    /// DEALLOCATE and DISCARD.
    fn forget(&mut self, rng: &mut Rng) -> Vec<Part> {
        let id = self.id();
        let text = match rng.u8(0..4) {
            0 => {
                self.names.clear();
                format!("DEALLOCATE ALL #{id}")
            }
            1 => {
                self.names.clear();
                "DISCARD ALL".to_string()
            }
            _ => format!("DEALLOCATE \"{}\"", self.name(rng)),
        };
        vec![simple_query(&text)]
    }

    /// A name that most probably exists.
    fn name(&mut self, rng: &mut Rng) -> String {
        match rng.u8(0..12) {
            0 => "PGPRIME_0".into(),
            _ if self.names.is_empty() => "unknown".into(),
            _ => self.names[rng.usize(0..self.names.len())].clone(),
        }
    }

    fn new_name(&mut self, rng: &mut Rng) -> String {
        if rng.u8(0..8) == 0 {
            // Perhaps one that is taken.
            return self.name(rng);
        }
        self.next_name += 1;
        let name = format!("s{}", self.next_name % 6);
        self.names.push(name.clone());
        name
    }

    fn text(&mut self, rng: &mut Rng) -> String {
        match rng.u8(0..16) {
            0 => "INSERT $1".into(),
            1 => "FAIL $1".into(),
            2 => "SYNTAX $1".into(),
            3 if self.flavour.transactions => "BEGIN $1".into(),
            4 if self.flavour.transactions => "COMMIT $1".into(),
            5 if self.flavour.settings => "SHOW TimeZone $1".into(),
            6 if self.flavour.settings => format!("SET TimeZone='zone {}' $1", rng.u8(0..3)),
            7 => String::new(),
            8 if self.flavour.large && rng.u8(0..4) == 0 => format!("SELECT 1 0 $1 {}", "y".repeat(20_000)),
            9 if self.flavour.sleeps => "SLEEP $1".into(),
            _ => format!("SELECT {} {} $1", rng.u8(0..4), rng.u8(0..3)),
        }
    }

    /// An extended request up to its Sync.
    fn batch(&mut self, rng: &mut Rng) -> Part {
        let mut bytes = Vec::new();
        let mut note = String::from("batch:");
        for _ in 0..rng.usize(1..4) {
            self.exchange(rng, &mut bytes, &mut note);
        }
        encode::sync(&mut bytes);
        Part { bytes, waits: false, note }
    }

    fn exchange(&mut self, rng: &mut Rng, bytes: &mut Vec<u8>, note: &mut String) {
        let name = match rng.u8(0..8) {
            0..=2 => {
                let text = self.text(rng);
                encode::parse(bytes, b"", text.as_bytes(), b"");
                note.push_str(&format!(" Parse '' {:.30}", text));
                String::new()
            }
            3 | 4 => {
                let (name, text) = (self.new_name(rng), self.text(rng));
                encode::parse(bytes, name.as_bytes(), text.as_bytes(), b"");
                note.push_str(&format!(" Parse {name} {:.30}", text));
                name
            }
            5 if rng.bool() => {
                let name = self.name(rng);
                encode::close_statement(bytes, name.as_bytes());
                note.push_str(&format!(" Close {name}"));
                self.names.retain(|known| *known != name);
                return;
            }
            _ => self.name(rng),
        };
        if rng.u8(0..4) == 0 {
            encode::describe_statement(bytes, name.as_bytes());
            note.push_str(&format!(" Describe {name}"));
        }
        if rng.u8(0..6) > 0 {
            self.bind_and_execute(rng, &name, bytes, note);
        }
        if rng.u8(0..6) == 0 {
            encode::flush(bytes);
            note.push_str(" Flush");
        }
    }

    fn bind_and_execute(&mut self, rng: &mut Rng, name: &str, bytes: &mut Vec<u8>, note: &mut String) {
        let id = self.id();
        let portal = if rng.u8(0..6) == 0 { format!("p{}", rng.u8(0..3)) } else { String::new() };
        let mut value = id.clone();
        if self.flavour.large && rng.u8(0..10) == 0 {
            value.push_str(&".".repeat(rng.usize(5_000..60_000)));
        }
        encode::bind_text(bytes, portal.as_bytes(), name.as_bytes(), &[Some(value.as_bytes())]);
        note.push_str(&format!(" Bind {portal}<-{name} {id} ({})", value.len()));
        if rng.bool() {
            encode::describe_portal(bytes, portal.as_bytes());
            note.push_str(" Describe portal");
        }
        for _ in 0..=rng.u8(0..8) / 6 {
            let rows_max = if rng.u8(0..4) == 0 { rng.u32(1..3) } else { 0 };
            encode::execute(bytes, portal.as_bytes(), rows_max);
            note.push_str(" Execute");
        }
        if rng.u8(0..8) == 0 {
            encode::close_portal(bytes, portal.as_bytes());
            note.push_str(" Close portal");
        }
    }

    /// One message at a time, with Flush, as some drivers do.
    fn step_by_step(&mut self, rng: &mut Rng) -> Vec<Part> {
        let id = self.id();
        let (name, text) = (self.new_name(rng), self.text(rng));
        let mut messages = vec![Vec::new(); 4];
        encode::parse(&mut messages[0], name.as_bytes(), text.as_bytes(), b"");
        encode::describe_statement(&mut messages[1], name.as_bytes());
        encode::bind_text(&mut messages[2], b"", name.as_bytes(), &[Some(id.as_bytes())]);
        encode::execute(&mut messages[3], b"", 0);
        let mut sync = Vec::new();
        encode::sync(&mut sync);
        for message in &mut messages {
            encode::flush(message);
        }
        messages.push(sync);
        let notes = ["Parse", "Describe", "Bind", "Execute", "Sync"];
        let parts = messages.into_iter().zip(notes);
        parts
            .map(|(bytes, note)| Part { bytes, waits: true, note: format!("{note} {name} {text:.30} {id}") })
            .collect()
    }
}

pub(crate) fn simple_query(text: &str) -> Part {
    let mut bytes = Vec::new();
    encode::query(&mut bytes, text.as_bytes());
    Part { bytes, waits: false, note: format!("{text:.120}") }
}
