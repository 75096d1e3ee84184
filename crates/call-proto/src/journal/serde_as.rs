//! Serializes the parts of a start that are not plain data: a dialect by its name, verbs as a
//! document.

/// A dialect by its name.
pub(crate) mod dialect {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::dialect::Dialect;

    pub(crate) fn serialize<S: Serializer>(dialect: &Dialect, to: S) -> Result<S::Ok, S::Error> {
        dialect.name.serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Dialect, D::Error> {
        let name = String::deserialize(from)?;
        named(&name).ok_or_else(|| D::Error::custom(format!("unknown dialect `{name}`")))
    }

    pub(super) fn named(name: &str) -> Option<Dialect> {
        Dialect::ALL
            .into_iter()
            .find(|dialect| dialect.name == name)
    }
}

/// An optional dialect by its name.
pub(crate) mod optional_dialect {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::dialect::Dialect;

    pub(crate) fn serialize<S: Serializer>(
        dialect: &Option<Dialect>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        dialect.map(|dialect| dialect.name).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Dialect>, D::Error> {
        let Some(name) = Option::<String>::deserialize(from)? else {
            return Ok(None);
        };
        let found = crate::journal::serde_as::dialect::named(&name);
        let found = found.ok_or_else(|| D::Error::custom(format!("unknown dialect `{name}`")))?;
        Ok(Some(found))
    }
}

/// Who is in a recording, as one word.
pub(crate) mod sides {
    use rcml::Sides;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "the signature is serde's"
    )]
    pub(crate) fn serialize<S: Serializer>(sides: &Sides, to: S) -> Result<S::Ok, S::Error> {
        sides.words().serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Sides, D::Error> {
        let words = String::deserialize(from)?;
        let found = Sides::ALL.into_iter().find(|it| it.words() == words);
        found.ok_or_else(|| D::Error::custom(format!("unknown sides `{words}`")))
    }
}

/// Verbs from routing, as a document.
pub(crate) mod verbs {
    use rcml::{Document, Noun, Verb};
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(verbs: &[Verb], to: S) -> Result<S::Ok, S::Error> {
        let document = Document {
            verbs: verbs.to_vec(),
            ..Document::default()
        };
        document.to_xml().serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Verb>, D::Error> {
        let xml = String::deserialize(from)?;
        let mut document = Document::parse(&xml).map_err(D::Error::custom)?;
        document.verbs.iter_mut().for_each(forget_lines);
        Ok(document.verbs)
    }

    /// Routing has no line numbers; it generates only `<Dial>`.
    fn forget_lines(verb: &mut Verb) {
        let Verb::Dial(dial) = verb else { return };
        dial.line = 0;
        for noun in &mut dial.nouns {
            match noun {
                Noun::Number(branch) | Noun::Client(branch) | Noun::Sip(branch) => branch.line = 0,
                Noun::Conference(conference) => conference.line = 0,
                Noun::Queue(queue) => queue.line = 0,
                Noun::Unsupported(_) => {}
            }
        }
    }
}

/// Optional kinds of input by their name.
pub(crate) mod optional_inputs {
    use rcml::Inputs;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        inputs: &Option<Inputs>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        inputs.map(Inputs::as_str).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Inputs>, D::Error> {
        let Some(name) = Option::<String>::deserialize(from)? else {
            return Ok(None);
        };
        let found = Inputs::named(&name);
        let found = found.ok_or_else(|| D::Error::custom(format!("unknown inputs `{name}`")))?;
        Ok(Some(found))
    }
}
