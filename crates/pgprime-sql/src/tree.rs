//! The tree of a statement with every node by its name.
//!
//! The parser's types are some 270 structs. This is what they serialize to: a struct with its name and its fields, where
//! what is absent, zero, false or empty is left out. A walk over it sees every node there is, those of kinds that nobody
//! thought of included.

use serde::Serialize;
use serde::ser::{self, Impossible};

/// A value in the tree.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    /// Absent.
    Nothing,
    /// A number, an enumeration's number, or a flag as 1.
    Number(i64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Tree>),
    /// A struct.
    Node(Node),
}

/// A struct of the parser's: `"SelectStmt"`, `"RangeVar"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Its name.
    pub name: &'static str,
    fields: Vec<(&'static str, Tree)>,
}

impl Tree {
    /// The tree of what the parser gives.
    #[must_use]
    pub fn of(value: &impl Serialize) -> Self {
        value.serialize(Builder).unwrap_or(Self::Nothing)
    }

    /// The struct that it is, if it is one.
    #[must_use]
    pub fn node(&self) -> Option<&Node> {
        if let Self::Node(node) = self { Some(node) } else { None }
    }

    /// The items of a list; a List node is one.
    #[must_use]
    pub fn items(&self) -> &[Tree] {
        match self {
            Self::List(items) => items,
            Self::Node(node) if node.name == "List" => node.list("items"),
            _ => &[],
        }
    }

    /// What a String node holds.
    #[must_use]
    pub fn string(&self) -> Option<&str> {
        self.node().filter(|node| node.name == "String").map(|node| node.text("sval"))
    }

    fn is_nothing(&self) -> bool {
        match self {
            Self::Nothing | Self::Number(0) => true,
            Self::Text(text) => text.is_empty(),
            Self::List(items) => items.is_empty(),
            Self::Number(_) | Self::Node(_) => false,
        }
    }
}

impl Node {
    /// A field; nothing where it is absent.
    #[must_use]
    pub fn field(&self, name: &str) -> &Tree {
        let found = self.fields.iter().find(|(field, _)| *field == name);
        found.map_or(&Tree::Nothing, |(_, value)| value)
    }

    /// Whether it has the field.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(field, _)| *field == name)
    }

    /// The struct in a field.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<&Node> {
        self.field(name).node()
    }

    /// The text in a field; empty where there is none.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        if let Tree::Text(text) = self.field(name) { text } else { "" }
    }

    /// The number in a field; 0 where there is none.
    #[must_use]
    pub fn number(&self, name: &str) -> i64 {
        if let Tree::Number(number) = self.field(name) { *number } else { 0 }
    }

    /// A byte's place in the text.
    #[must_use]
    pub fn location(&self) -> usize {
        usize::try_from(self.number("location")).unwrap_or(0)
    }

    /// The items in a field.
    #[must_use]
    pub fn list(&self, name: &str) -> &[Tree] {
        self.field(name).items()
    }

    /// The words of a name in a field.
    #[must_use]
    pub fn words(&self, name: &str) -> Vec<&str> {
        self.list(name).iter().filter_map(Tree::string).collect()
    }

    /// All fields that are there.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, &Tree)> {
        self.fields.iter().map(|(name, value)| (*name, value))
    }
}

/// Never happens: building a tree cannot fail. The trait asks for an error type.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Failure(String);

impl ser::Error for Failure {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

struct Builder;

struct ListBuilder(Vec<Tree>);

struct NodeBuilder(Node);

type Built = Result<Tree, Failure>;

fn number<T: TryInto<i64>>(value: T) -> Built {
    Ok(Tree::Number(value.try_into().unwrap_or(i64::MAX)))
}

impl ser::Serializer for Builder {
    type Ok = Tree;
    type Error = Failure;
    type SerializeSeq = ListBuilder;
    type SerializeTuple = ListBuilder;
    type SerializeTupleStruct = ListBuilder;
    type SerializeTupleVariant = Impossible<Tree, Failure>;
    type SerializeMap = Impossible<Tree, Failure>;
    type SerializeStruct = NodeBuilder;
    type SerializeStructVariant = Impossible<Tree, Failure>;

    fn serialize_bool(self, value: bool) -> Built {
        number(i64::from(value))
    }
    fn serialize_i8(self, value: i8) -> Built {
        number(value)
    }
    fn serialize_i16(self, value: i16) -> Built {
        number(value)
    }
    fn serialize_i32(self, value: i32) -> Built {
        number(value)
    }
    fn serialize_i64(self, value: i64) -> Built {
        number(value)
    }
    fn serialize_u8(self, value: u8) -> Built {
        number(value)
    }
    fn serialize_u16(self, value: u16) -> Built {
        number(value)
    }
    fn serialize_u32(self, value: u32) -> Built {
        number(value)
    }
    fn serialize_u64(self, value: u64) -> Built {
        number(value)
    }
    fn serialize_f32(self, value: f32) -> Built {
        Ok(Tree::Text(value.to_string()))
    }
    fn serialize_f64(self, value: f64) -> Built {
        Ok(Tree::Text(value.to_string()))
    }
    fn serialize_char(self, value: char) -> Built {
        Ok(Tree::Text(value.to_string()))
    }
    fn serialize_str(self, value: &str) -> Built {
        Ok(Tree::Text(value.to_owned()))
    }
    fn serialize_bytes(self, value: &[u8]) -> Built {
        Ok(Tree::Text(String::from_utf8_lossy(value).into_owned()))
    }
    fn serialize_none(self) -> Built {
        Ok(Tree::Nothing)
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Built {
        value.serialize(self)
    }
    fn serialize_unit(self) -> Built {
        Ok(Tree::Nothing)
    }
    fn serialize_unit_struct(self, name: &'static str) -> Built {
        Ok(Tree::Node(Node { name, fields: Vec::new() }))
    }
    fn serialize_unit_variant(self, _: &'static str, index: u32, _: &'static str) -> Built {
        number(index)
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Built {
        value.serialize(self)
    }
    /// One of several kinds of node: the node itself, which has its name.
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Built {
        value.serialize(self)
    }
    fn serialize_seq(self, length: Option<usize>) -> Result<ListBuilder, Failure> {
        Ok(ListBuilder(Vec::with_capacity(length.unwrap_or(0))))
    }
    fn serialize_tuple(self, length: usize) -> Result<ListBuilder, Failure> {
        self.serialize_seq(Some(length))
    }
    fn serialize_tuple_struct(self, _: &'static str, length: usize) -> Result<ListBuilder, Failure> {
        self.serialize_seq(Some(length))
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Failure> {
        Err(ser::Error::custom(variant))
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Failure> {
        Err(ser::Error::custom("a map"))
    }
    fn serialize_struct(self, name: &'static str, _: usize) -> Result<NodeBuilder, Failure> {
        Ok(NodeBuilder(Node { name, fields: Vec::new() }))
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Failure> {
        Err(ser::Error::custom(variant))
    }
}

impl ser::SerializeSeq for ListBuilder {
    type Ok = Tree;
    type Error = Failure;
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        self.0.push(value.serialize(Builder)?);
        Ok(())
    }
    fn end(self) -> Built {
        Ok(Tree::List(self.0))
    }
}

impl ser::SerializeTuple for ListBuilder {
    type Ok = Tree;
    type Error = Failure;
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        ser::SerializeSeq::serialize_element(self, value)
    }
    fn end(self) -> Built {
        ser::SerializeSeq::end(self)
    }
}

impl ser::SerializeTupleStruct for ListBuilder {
    type Ok = Tree;
    type Error = Failure;
    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        ser::SerializeSeq::serialize_element(self, value)
    }
    fn end(self) -> Built {
        ser::SerializeSeq::end(self)
    }
}

impl ser::SerializeStruct for NodeBuilder {
    type Ok = Tree;
    type Error = Failure;
    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Failure> {
        let value = value.serialize(Builder)?;
        if !value.is_nothing() {
            self.0.fields.push((name, value));
        }
        Ok(())
    }
    /// The struct `Node` is only a box around one of its kinds.
    fn end(mut self) -> Built {
        match self.0.name {
            "Node" => Ok(self.0.fields.pop().map_or(Tree::Nothing, |(_, value)| value)),
            _ => Ok(Tree::Node(self.0)),
        }
    }
}
