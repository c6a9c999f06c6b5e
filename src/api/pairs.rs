//! What serializes to pairs, in the form of queries and form bodies
//! (SPEC Q3, B3).
//!
//! ```text
//! Pairs    the whole: a sequence of pairs, a map, a struct
//! Pair     one of a sequence: two elements
//! Scalars  a name or a value: text, a number, a truth value; nothing;
//!          or, as a value, a list of these
//! ```

use std::fmt::{self, Display};

use serde_core::ser::{
    Error as _, Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeTuple,
    SerializeTupleStruct, Serializer,
};
use url::form_urlencoded;

/// Writes the pairs as `application/x-www-form-urlencoded` (WHATWG URL §5.2).
///
/// A value that is a list stands for a pair each, one that is nothing (`None`,
/// `()`) for none.
///
/// # Errors
/// It is no list of pairs, no map and no struct, or holds what is no text, no
/// number, no truth value and no list of these.
pub(crate) fn encode(pairs: &(impl Serialize + ?Sized)) -> Result<String, NotPairs> {
    let mut out = form_urlencoded::Serializer::new(String::new());
    pairs.serialize(Pairs { out: &mut out })?;
    Ok(out.finish())
}

/// Why a value is not pairs.
#[derive(Debug)]
pub(crate) struct NotPairs(String);

impl Display for NotPairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotPairs {}

impl serde_core::ser::Error for NotPairs {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

type Out = form_urlencoded::Serializer<'static, String>;

/// The methods of a `Serializer` that give an error, whatever they are given.
macro_rules! refuse {
    ($why:literal: $($method:ident($($type:ty),*)$(<$t:ident>)?,)*) => {$(
        fn $method$(<$t: Serialize + ?Sized>)?(self, $(_: $type),*) -> Result<(), NotPairs> {
            Err(NotPairs::custom($why))
        }
    )*};
}

/// The compound types that are variants of an enum, which are never pairs.
macro_rules! refuse_variants {
    ($why:literal) => {
        type SerializeTupleVariant = Impossible<(), NotPairs>;
        type SerializeStructVariant = Impossible<(), NotPairs>;

        fn serialize_tuple_variant(
            self,
            _: &'static str,
            _: u32,
            _: &'static str,
            _: usize,
        ) -> Result<Self::SerializeTupleVariant, NotPairs> {
            Err(NotPairs::custom($why))
        }

        fn serialize_struct_variant(
            self,
            _: &'static str,
            _: u32,
            _: &'static str,
            _: usize,
        ) -> Result<Self::SerializeStructVariant, NotPairs> {
            Err(NotPairs::custom($why))
        }

        fn serialize_newtype_variant<T: Serialize + ?Sized>(
            self,
            _: &'static str,
            _: u32,
            _: &'static str,
            _: &T,
        ) -> Result<(), NotPairs> {
            Err(NotPairs::custom($why))
        }
    };
}

macro_rules! refuse_maps {
    ($why:literal) => {
        type SerializeMap = Impossible<(), NotPairs>;
        type SerializeStruct = Impossible<(), NotPairs>;

        fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, NotPairs> {
            Err(NotPairs::custom($why))
        }

        fn serialize_struct(
            self,
            _: &'static str,
            _: usize,
        ) -> Result<Self::SerializeStruct, NotPairs> {
            Err(NotPairs::custom($why))
        }
    };
}

macro_rules! refuse_scalars {
    ($why:literal) => {
        refuse! { $why:
            serialize_bool(bool),
            serialize_i8(i8),
            serialize_i16(i16),
            serialize_i32(i32),
            serialize_i64(i64),
            serialize_u8(u8),
            serialize_u16(u16),
            serialize_u32(u32),
            serialize_u64(u64),
            serialize_f32(f32),
            serialize_f64(f64),
            serialize_char(char),
            serialize_str(&str),
            serialize_bytes(&[u8]),
            serialize_unit_variant(&'static str, u32, &'static str),
        }
    };
}

macro_rules! look_through {
    () => {
        fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), NotPairs> {
            value.serialize(self)
        }

        fn serialize_newtype_struct<T: Serialize + ?Sized>(
            self,
            _: &'static str,
            value: &T,
        ) -> Result<(), NotPairs> {
            value.serialize(self)
        }
    };
}

/// The elements of a sequence or of a tuple, each by `element`.
macro_rules! elements {
    ($type:ident) => {
        impl SerializeSeq for $type<'_> {
            type Ok = ();
            type Error = NotPairs;

            fn serialize_element<T: Serialize + ?Sized>(&mut self, of: &T) -> Result<(), NotPairs> {
                self.element(of)
            }

            fn end(self) -> Result<(), NotPairs> {
                self.finish()
            }
        }

        impl SerializeTuple for $type<'_> {
            type Ok = ();
            type Error = NotPairs;

            fn serialize_element<T: Serialize + ?Sized>(&mut self, of: &T) -> Result<(), NotPairs> {
                self.element(of)
            }

            fn end(self) -> Result<(), NotPairs> {
                self.finish()
            }
        }

        impl SerializeTupleStruct for $type<'_> {
            type Ok = ();
            type Error = NotPairs;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, of: &T) -> Result<(), NotPairs> {
                self.element(of)
            }

            fn end(self) -> Result<(), NotPairs> {
                self.finish()
            }
        }
    };
}

macro_rules! sequences {
    ($type:ty: $self:ident => $make:expr) => {
        type SerializeSeq = $type;
        type SerializeTuple = $type;
        type SerializeTupleStruct = $type;

        fn serialize_seq($self, _: Option<usize>) -> Result<$type, NotPairs> {
            $make
        }

        fn serialize_tuple($self, _: usize) -> Result<$type, NotPairs> {
            $make
        }

        fn serialize_tuple_struct($self, _: &'static str, _: usize) -> Result<$type, NotPairs> {
            $make
        }
    };
}

struct Pairs<'a> {
    out: &'a mut Out,
}

impl<'a> Serializer for Pairs<'a> {
    type Ok = ();
    type Error = NotPairs;
    type SerializeMap = Entries<'a>;
    type SerializeStruct = Entries<'a>;

    sequences!(Sequence<'a>: self => Ok(Sequence { out: self.out }));
    look_through!();
    refuse_scalars!("a single value is no list of pairs");
    refuse_variants!("a variant of an enum is no list of pairs");

    fn serialize_map(self, _: Option<usize>) -> Result<Entries<'a>, NotPairs> {
        Ok(Entries {
            out: self.out,
            name: None,
        })
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Entries<'a>, NotPairs> {
        self.serialize_map(None)
    }

    fn serialize_none(self) -> Result<(), NotPairs> {
        Ok(())
    }

    fn serialize_unit(self) -> Result<(), NotPairs> {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), NotPairs> {
        Ok(())
    }
}

struct Sequence<'a> {
    out: &'a mut Out,
}

impl Sequence<'_> {
    fn element(&mut self, of: &(impl Serialize + ?Sized)) -> Result<(), NotPairs> {
        of.serialize(Pair { out: self.out })
    }

    fn finish(self) -> Result<(), NotPairs> {
        Ok(())
    }
}

elements!(Sequence);

struct Entries<'a> {
    out: &'a mut Out,
    /// Of the entry whose value comes next.
    name: Option<String>,
}

impl SerializeMap for Entries<'_> {
    type Ok = ();
    type Error = NotPairs;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), NotPairs> {
        self.name = Some(name(key)?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotPairs> {
        let name = self.name.take();
        let name = name.ok_or_else(|| NotPairs::custom("a value without its name"))?;
        append(self.out, &name, value)
    }

    fn end(self) -> Result<(), NotPairs> {
        Ok(())
    }
}

impl SerializeStruct for Entries<'_> {
    type Ok = ();
    type Error = NotPairs;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), NotPairs> {
        append(self.out, name, value)
    }

    fn end(self) -> Result<(), NotPairs> {
        Ok(())
    }
}

struct Pair<'a> {
    out: &'a mut Out,
}

impl<'a> Serializer for Pair<'a> {
    type Ok = ();
    type Error = NotPairs;

    sequences!(PairParts<'a>: self => Ok(PairParts {
        out: self.out,
        name: None,
        is_whole: false,
    }));
    look_through!();
    refuse_scalars!("a pair has a name and a value");
    refuse_variants!("a variant of an enum is no pair");
    refuse_maps!("a map is no pair");
    refuse! { "nothing is no pair":
        serialize_none(),
        serialize_unit(),
        serialize_unit_struct(&'static str),
    }
}

struct PairParts<'a> {
    out: &'a mut Out,
    name: Option<String>,
    is_whole: bool,
}

impl PairParts<'_> {
    fn element(&mut self, of: &(impl Serialize + ?Sized)) -> Result<(), NotPairs> {
        match self.name.take() {
            _ if self.is_whole => Err(NotPairs::custom("a pair has no third part")),
            None => {
                self.name = Some(name(of)?);
                Ok(())
            }
            Some(name) => {
                self.is_whole = true;
                append(self.out, &name, of)
            }
        }
    }

    fn finish(self) -> Result<(), NotPairs> {
        match self.is_whole {
            true => Ok(()),
            false => Err(NotPairs::custom("a pair has a name and a value")),
        }
    }
}

elements!(PairParts);

fn name(of: &(impl Serialize + ?Sized)) -> Result<String, NotPairs> {
    let mut found = Vec::new();
    of.serialize(Scalars {
        found: &mut found,
        lists: false,
    })?;
    found
        .pop()
        .ok_or_else(|| NotPairs::custom("a name cannot be nothing"))
}

fn append(out: &mut Out, name: &str, of: &(impl Serialize + ?Sized)) -> Result<(), NotPairs> {
    let mut found = Vec::new();
    of.serialize(Scalars {
        found: &mut found,
        lists: true,
    })?;
    for value in found {
        out.append_pair(name, &value);
    }
    Ok(())
}

/// Gathers the scalars that a value is.
struct Scalars<'a> {
    found: &'a mut Vec<String>,
    /// Whether it may be a list.
    lists: bool,
}

impl Scalars<'_> {
    fn push(self, text: String) -> Result<(), NotPairs> {
        self.found.push(text);
        Ok(())
    }

    fn element(&mut self, of: &(impl Serialize + ?Sized)) -> Result<(), NotPairs> {
        of.serialize(Scalars {
            found: self.found,
            lists: false,
        })
    }

    fn finish(self) -> Result<(), NotPairs> {
        Ok(())
    }
}

elements!(Scalars);

macro_rules! display {
    ($($method:ident: $type:ty,)*) => {$(
        fn $method(self, value: $type) -> Result<(), NotPairs> {
            self.push(value.to_string())
        }
    )*};
}

impl<'a> Serializer for Scalars<'a> {
    type Ok = ();
    type Error = NotPairs;

    display! {
        serialize_bool: bool,
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_i128: i128,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
        serialize_u128: u128,
        serialize_char: char,
        serialize_str: &str,
    }
    sequences!(Scalars<'a>: self => match self.lists {
        true => Ok(self),
        false => Err(NotPairs::custom("a list cannot stand here")),
    });
    look_through!();
    refuse_variants!("a variant of an enum with fields is no value");
    refuse_maps!("a map or a struct is no value");

    fn serialize_f32(self, value: f32) -> Result<(), NotPairs> {
        match value.is_finite() {
            // Its own shortest digits, not those of a longer number.
            true => self.push(format!("{value:?}")),
            false => Err(NotPairs::custom("neither infinity nor NaN is a value")),
        }
    }

    fn serialize_f64(self, value: f64) -> Result<(), NotPairs> {
        match value.is_finite() {
            true => self.push(format!("{value:?}")),
            false => Err(NotPairs::custom("neither infinity nor NaN is a value")),
        }
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), NotPairs> {
        match str::from_utf8(value) {
            Ok(text) => self.push(text.to_owned()),
            Err(_) => Err(NotPairs::custom("bytes that are not UTF-8 are no value")),
        }
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), NotPairs> {
        self.push(variant.to_owned())
    }

    fn serialize_none(self) -> Result<(), NotPairs> {
        Ok(())
    }

    fn serialize_unit(self) -> Result<(), NotPairs> {
        Ok(())
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<(), NotPairs> {
        self.push(name.to_owned())
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
