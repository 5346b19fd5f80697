//! Arrays as serde's values: element type, shape, and the elements in row-major order.
//!
//! Formats that people read have no infinities and no NaN, and JSON's writer puts `null` in their place, which says
//! neither which it was nor reads back. There they are written as strings.

use crate::array::Array;
use crate::cpu::copy::elements;
use crate::device::Device;
use crate::element::{Element, Scalar};
use crate::heap::vectors;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::ser::{self, Serialize, SerializeStruct, Serializer};
use std::fmt;
use std::marker::PhantomData;

const NAME: &str = "Tensor";
/// Bytes that are set aside before the elements are seen.
const MOST_EXPECTED: usize = 1 << 20;
const NOT_FINITE: [(&str, f64); 3] = [("nan", f64::NAN), ("inf", f64::INFINITY), ("-inf", f64::NEG_INFINITY)];

impl<T: Element + Serialize> Serialize for Array<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let host = self.to_device("serialize", Device::Cpu).map_err(ser::Error::custom)?;
        let mut fields = serializer.serialize_struct(NAME, 3)?;
        fields.serialize_field("dtype", &T::DTYPE.to_string())?;
        fields.serialize_field("shape", host.shape())?;
        match host.as_slice() {
            Some(elements) => fields.serialize_field("data", &Elements(elements))?,
            None => {
                let elements = elements("serialize", &host).map_err(ser::Error::custom)?;
                fields.serialize_field("data", &Elements(&elements))?;
            }
        }
        fields.end()
    }
}

struct Elements<'a, T>(&'a [T]);

impl<T: Element + Serialize> Serialize for Elements<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|&x| Entry(x)))
    }
}

/// One element.
struct Entry<T>(T);

impl<T: Element + Serialize> Serialize for Entry<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.to_scalar() {
            Scalar::Float(x) if !x.is_finite() && serializer.is_human_readable() => {
                let name = NOT_FINITE.iter().find(|(_, y)| x.is_nan() || x == *y).map_or("nan", |n| n.0);
                serializer.serialize_str(name)
            }
            _ => self.0.serialize(serializer),
        }
    }
}

/// What is read: shape and elements, after the name of the element type was compared.
struct Parts<T>(PhantomData<T>);

/// In the order in which they are written, and found in formats without names.
const FIELDS: &[&str] = &["dtype", "shape", "data"];

// By hand, because the macros that could write it take longer to compile than the rest of serde.
impl<'de, T: Element + Deserialize<'de>> Visitor<'de> for Parts<T> {
    type Value = (Vec<usize>, Numbers<T>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a tensor")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let missing = |found| A::Error::invalid_length(found, &"a tensor of three fields");
        fields.next_element::<Typed<T>>()?.ok_or_else(|| missing(0))?;
        let shape = fields.next_element()?.ok_or_else(|| missing(1))?;
        Ok((shape, fields.next_element()?.ok_or_else(|| missing(2))?))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let (mut dtype, mut shape, mut data) = (None, None, None);
        while let Some(Field(field)) = fields.next_key()? {
            let again = match field {
                0 => dtype.replace(fields.next_value::<Typed<T>>()?).is_some(),
                1 => shape.replace(fields.next_value()?).is_some(),
                _ => data.replace(fields.next_value()?).is_some(),
            };
            if again {
                return Err(A::Error::duplicate_field(FIELDS[field]));
            }
        }
        dtype.ok_or_else(|| A::Error::missing_field("dtype"))?;
        let shape = shape.ok_or_else(|| A::Error::missing_field("shape"))?;
        Ok((shape, data.ok_or_else(|| A::Error::missing_field("data"))?))
    }
}

/// The place of a name among [`FIELDS`].
struct Field(usize);

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_identifier(FieldVisitor)
    }
}

struct FieldVisitor;

impl Visitor<'_> for FieldVisitor {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }
    fn visit_u64<E: Error>(self, place: u64) -> Result<Field, E> {
        let known = usize::try_from(place).ok().filter(|&place| place < FIELDS.len());
        known.map(Field).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(place), &"0 to 2"))
    }
    fn visit_str<E: Error>(self, name: &str) -> Result<Field, E> {
        let known = FIELDS.iter().position(|&field| field == name);
        known.map(Field).ok_or_else(|| E::unknown_field(name, FIELDS))
    }
    fn visit_bytes<E: Error>(self, name: &[u8]) -> Result<Field, E> {
        self.visit_str(&String::from_utf8_lossy(name))
    }
}

/// The elements, whose memory is taken as they arrive.
struct Numbers<T>(Vec<T>);

impl<'de, T: Element + Deserialize<'de>> Deserialize<'de> for Numbers<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(NumbersVisitor(PhantomData)).map(Numbers)
    }
}

struct NumbersVisitor<T>(PhantomData<T>);

impl<'de, T: Element + Deserialize<'de>> Visitor<'de> for NumbersVisitor<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the elements of a tensor")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<T>, A::Error> {
        // What a number says is not believed before the elements are seen.
        let expected = elements.size_hint().unwrap_or(0).min(MOST_EXPECTED / size_of::<T>());
        let mut v = vectors::room("deserialize", expected).map_err(Error::custom)?;
        while let Some(Entry(x)) = elements.next_element()? {
            vectors::grow("deserialize", &mut v, 1).map_err(Error::custom)?;
            v.push(x);
        }
        Ok(v)
    }
}

/// The name of the element type.
struct Typed<T>(PhantomData<T>);

impl<'de, T: Element> Deserialize<'de> for Typed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let found = String::deserialize(deserializer)?;
        if found != T::DTYPE.to_string() {
            let message = format!(
                "the tensor's elements are {found:?}, not {}: read it as a tensor of those, and convert it",
                T::DTYPE
            );
            return Err(D::Error::custom(message));
        }
        Ok(Typed(PhantomData))
    }
}

impl<'de, T: Element + Deserialize<'de>> Deserialize<'de> for Entry<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match T::DTYPE.is_float() && deserializer.is_human_readable() {
            true => deserializer.deserialize_any(NumberOrName(PhantomData)),
            false => T::deserialize(deserializer).map(Entry),
        }
    }
}

struct NumberOrName<T>(PhantomData<T>);

impl<T: Element> Visitor<'_> for NumberOrName<T> {
    type Value = Entry<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, \"nan\", \"inf\" or \"-inf\"")
    }
    fn visit_f64<E: Error>(self, x: f64) -> Result<Self::Value, E> {
        Ok(Entry(T::from_scalar(Scalar::Float(x))))
    }
    fn visit_i64<E: Error>(self, x: i64) -> Result<Self::Value, E> {
        self.visit_f64(x as f64)
    }
    fn visit_u64<E: Error>(self, x: u64) -> Result<Self::Value, E> {
        self.visit_f64(x as f64)
    }
    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        match NOT_FINITE.iter().find(|n| n.0 == name) {
            Some(&(_, x)) => self.visit_f64(x),
            None => Err(E::invalid_value(Unexpected::Str(name), &self)),
        }
    }
}

impl<'de, T: Element + Deserialize<'de>> Deserialize<'de> for Array<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (shape, data) = deserializer.deserialize_struct(NAME, FIELDS, Parts(PhantomData))?;
        Array::from_vec(data.0, &shape).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use crate::Array;

    fn round_trip<T: crate::Element + serde::Serialize + serde::de::DeserializeOwned>(
        x: &Array<T>,
    ) -> String {
        let text = serde_json::to_string(x).unwrap();
        let back: Array<T> = serde_json::from_str(&text).unwrap();
        // The text, too, so that NaN counts as equal to itself.
        assert_eq!((back.shape(), serde_json::to_string(&back).unwrap()), (x.shape(), text.clone()));
        text
    }

    #[test]
    fn every_type_and_layout_comes_back() {
        let a = Array::from_vec(vec![1.5, -0.0, 1e-300, f64::NAN, f64::INFINITY, 0.1], &[2, 3]).unwrap();
        assert_eq!(
            round_trip(&a.permute("", &[1, 0]).unwrap()),
            r#"{"dtype":"f64","shape":[3,2],"data":[1.5,"nan",-0.0,"inf",1e-300,0.1]}"#
        );
        let floats = Array::from_vec(vec![0.1f32, 3.0, f32::NEG_INFINITY, f32::MIN_POSITIVE], &[4]).unwrap();
        round_trip(&floats);
        assert_eq!(round_trip(&Array::scalar(i64::MIN)).matches("-9223372036854775808").count(), 1);
        round_trip(&Array::from_vec(vec![true, false], &[1, 2]).unwrap());
        round_trip(&Array::<f64>::zeros(&[0, 3]).unwrap());
        round_trip(&Array::repeat(&[2, 2], 7i64).unwrap());
    }

    #[test]
    fn what_does_not_fit_is_an_error_that_says_what() {
        for (text, said) in [
            (r#"{"dtype":"f32","shape":[1],"data":[1.0]}"#, "\"f32\", not f64"),
            (r#"{"dtype":"f64","shape":[3],"data":[1.0]}"#, "1 elements do not fill shape [3]"),
            (r#"{"dtype":"f64","shape":[4294967296,4294967296],"data":[]}"#, "no memory"),
            (r#"{"dtype":"f64","shape":[0,18446744073709551615],"data":[]}"#, "no memory"),
            (r#"{"dtype":"f64","shape":[-1],"data":[]}"#, "invalid value: integer `-1`"),
            (r#"{"dtype":"f64","shape":[1],"data":[null]}"#, "invalid type: null"),
            (r#"{"dtype":"f64","shape":[1],"data":["one"]}"#, "invalid value: string \"one\""),
            (r#"{"dtype":"f64","shape":[1]}"#, "missing field `data`"),
            (r#"{"dtype":"f64","shape":[1],"data":[1],"more":1}"#, "unknown field `more`"),
            (r#"{"dtype":"f64","shape":[1],"shape":[1],"data":[1]}"#, "duplicate field `shape`"),
            (r#"["f64",[1]]"#, "invalid length 2"),
            ("1", "expected a tensor"),
            (r#"{"dtype":"f64","shape":[1],"data":[1"#, "EOF"),
        ] {
            let error = serde_json::from_str::<Array<f64>>(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
        // Formats without names give the fields in their order.
        assert_eq!(serde_json::from_str::<Array<f64>>(r#"["f64",[1],[2]]"#).unwrap().to_vec(), [2.0]);
        let text = r#"{"dtype":"i64","shape":[1],"data":[1.5]}"#;
        assert!(serde_json::from_str::<Array<i64>>(text).unwrap_err().to_string().contains("1.5"));
    }
}
