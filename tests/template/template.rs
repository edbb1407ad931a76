//! A template's text and what it says, as JSON: `!Ref x` is `{"Ref": "x"}`, `!GetAtt x` is `{"Fn::GetAtt": "x"}`.

use std::fs;
use std::path::Path;

use saphyr::{LoadableYamlNode as _, Scalar, Yaml};
use serde_json::{Map, Value};

/// A template.
#[derive(Clone)]
pub(crate) struct Template {
    /// Its path within the checkout.
    pub path: &'static str,
    /// Its text, comments included.
    pub text: String,
    /// What it says.
    pub document: Value,
}

/// A resource of a template.
#[derive(Clone, Copy)]
pub(crate) struct Resource<'a> {
    /// Its logical name.
    pub name: &'a str,
    /// `AWS::S3::Bucket`
    pub kind: &'a str,
    /// All of it.
    pub whole: &'a Value,
}

impl Template {
    pub(crate) fn read(root: &Path, path: &'static str) -> Self {
        let text = fs::read_to_string(root.join(path)).expect("a template");
        let document = parse(&text);
        Self { path, text, document }
    }

    /// All resources, in the order of their names.
    pub(crate) fn resources(&self) -> impl Iterator<Item = Resource<'_>> {
        let resources = self.document["Resources"].as_object().expect("resources");
        resources.iter().map(|(name, whole)| Resource { name, kind: whole["Type"].as_str().unwrap_or_default(), whole })
    }

    /// All resources of a kind.
    pub(crate) fn of_kind(&self, kind: &str) -> impl Iterator<Item = Resource<'_>> {
        self.resources().filter(move |resource| resource.kind == kind)
    }

    /// The resource of this name.
    pub(crate) fn resource(&self, name: &str) -> Option<Resource<'_>> {
        self.resources().find(|resource| resource.name == name)
    }
}

impl<'a> Resource<'a> {
    /// The property at this JSON pointer; null if there is none.
    pub(crate) fn property(&self, pointer: &str) -> &'a Value {
        self.whole["Properties"].pointer(pointer).unwrap_or(&Value::Null)
    }
}

fn parse(text: &str) -> Value {
    let documents = Yaml::load_from_str(text).expect("YAML");
    let [document] = documents.as_slice() else { panic!("{} documents", documents.len()) };
    json(document)
}

fn json(node: &Yaml<'_>) -> Value {
    match node {
        Yaml::Value(scalar) => match scalar {
            Scalar::Null => Value::Null,
            Scalar::Boolean(value) => (*value).into(),
            Scalar::Integer(value) => (*value).into(),
            Scalar::FloatingPoint(value) => value.into_inner().into(),
            Scalar::String(text) => text.as_ref().into(),
        },
        Yaml::Sequence(items) => items.iter().map(json).collect(),
        Yaml::Mapping(entries) => Value::Object(
            entries.iter().map(|(key, value)| (key.as_str().expect("a text").into(), json(value))).collect(),
        ),
        Yaml::Tagged(tag, node) => {
            let name = match tag.suffix.as_str() {
                plain @ ("Ref" | "Condition") => plain.to_owned(),
                function => format!("Fn::{function}"),
            };
            Value::Object(Map::from_iter([(name, json(node))]))
        }
        other => panic!("{other:?} has no place in a template"),
    }
}

#[test]
fn short_forms_are_read_as_long_ones() {
    let document = parse("a: !If [B, !Ref c, !GetAtt d.Arn]\ne: !Sub \"${f}/*\"\ng: 30\nh: \"30\"\n");
    let expected = serde_json::json!({
        "a": {"Fn::If": ["B", {"Ref": "c"}, {"Fn::GetAtt": "d.Arn"}]}, "e": {"Fn::Sub": "${f}/*"}, "g": 30, "h": "30"
    });
    assert_eq!(document, expected);
}
