//! The one model of rows that every format writes: columns with a name and a kind, and values.

/// What a column holds, which decides how each format writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text, for all we know from a stranger.
    Text,
    /// Where something is: text of which the end tells more than the beginning.
    Path,
    /// A count or number; thousands are separated in tables.
    Integer,
    /// A number that names something; never separated.
    Id,
    /// Seconds since the epoch; `2026-11-20 14:00`, UTC, in tables.
    Time,
    /// Seconds since the epoch; `2026-11-20`, UTC, in tables.
    Day,
    /// A part of one; per cent in tables.
    Share,
    /// Yes or no.
    Flag,
    /// A JSON value, given as text.
    Json,
}

/// Where a column is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// In every format. In a table that is too wide, columns with the highest rank go first; rank 0 stays.
    Everywhere {
        /// The order of going.
        rank: u8,
    },
    /// In JSON, NDJSON and CSV only.
    Data,
    /// In tables only.
    Table {
        /// The order of going.
        rank: u8,
    },
}

/// A column: its name is the JSON key, CSV header and table heading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// The name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Where it is shown.
    pub shown: Shown,
}

/// One value. Which variant it is must suit the kind of its column.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Not known or not said.
    Null,
    /// For [`Kind::Text`], [`Kind::Path`] and [`Kind::Json`].
    Text(String),
    /// For [`Kind::Integer`], [`Kind::Id`], [`Kind::Time`] and [`Kind::Day`].
    Integer(i64),
    /// For [`Kind::Share`].
    Share(f64),
    /// For [`Kind::Flag`].
    Flag(bool),
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Value {
        Value::Text(text.clone())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Integer(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Value {
        Value::Flag(flag)
    }
}

impl From<f64> for Value {
    fn from(share: f64) -> Value {
        Value::Share(share)
    }
}

impl<'a, T> From<&'a Option<T>> for Value
where
    &'a T: Into<Value>,
{
    fn from(value: &'a Option<T>) -> Value {
        value.as_ref().map_or(Value::Null, Into::into)
    }
}

impl From<Option<i64>> for Value {
    fn from(value: Option<i64>) -> Value {
        value.map_or(Value::Null, Value::Integer)
    }
}

impl From<Option<bool>> for Value {
    fn from(value: Option<bool>) -> Value {
        value.map_or(Value::Null, Value::Flag)
    }
}

impl From<Option<f64>> for Value {
    fn from(value: Option<f64>) -> Value {
        value.map_or(Value::Null, Value::Share)
    }
}

impl From<Option<String>> for Value {
    fn from(value: Option<String>) -> Value {
        value.map_or(Value::Null, Value::Text)
    }
}

/// A column and how its value is taken from a row of type `T`.
pub struct Field<T> {
    /// The column.
    pub column: Column,
    /// Takes the value.
    pub value: fn(&T) -> Value,
}

impl<T> Field<T> {
    const fn new(name: &'static str, kind: Kind, value: fn(&T) -> Value) -> Field<T> {
        Field { column: Column { name, kind, shown: Shown::Everywhere { rank: 0 } }, value }
    }

    /// A column of text.
    pub const fn text(name: &'static str, value: fn(&T) -> Value) -> Field<T> {
        Field::new(name, Kind::Text, value)
    }

    /// A column of places.
    pub const fn path(name: &'static str, value: fn(&T) -> Value) -> Field<T> {
        Field::new(name, Kind::Path, value)
    }

    /// A column of counts.
    pub const fn integer(name: &'static str, value: fn(&T) -> Value) -> Field<T> {
        Field::new(name, Kind::Integer, value)
    }

    /// A column of row ids.
    pub const fn id(name: &'static str, value: fn(&T) -> Value) -> Field<T> {
        Field::new(name, Kind::Id, value)
    }

    /// A column of times.
    pub const fn time(name: &'static str, value: fn(&T) -> Value) -> Field<T> {
        Field::new(name, Kind::Time, value)
    }

    /// A column of times of which a table shows the day.
    pub const fn day(name: &'static str, value: fn(&T) -> Value) -> Field<T> {
        Field::new(name, Kind::Day, value)
    }

    /// A column of parts of one.
    pub const fn share(name: &'static str, value: fn(&T) -> Value) -> Field<T> {
        Field::new(name, Kind::Share, value)
    }

    /// A column of yes and no.
    pub const fn flag(name: &'static str, value: fn(&T) -> Value) -> Field<T> {
        Field::new(name, Kind::Flag, value)
    }

    /// A column of JSON values, left out of tables.
    pub const fn json(name: &'static str, value: fn(&T) -> Value) -> Field<T> {
        Field::new(name, Kind::Json, value).data_only()
    }

    /// The same, left out of tables.
    pub const fn data_only(mut self) -> Field<T> {
        self.column.shown = Shown::Data;
        self
    }

    /// The same, in tables only.
    pub const fn table_only(mut self) -> Field<T> {
        self.column.shown = match self.column.shown {
            Shown::Everywhere { rank } | Shown::Table { rank } => Shown::Table { rank },
            Shown::Data => Shown::Data,
        };
        self
    }

    /// The same, left out of a table too narrow for all; the highest `rank` goes first.
    pub const fn if_wide(mut self, rank: u8) -> Field<T> {
        self.column.shown = match self.column.shown {
            Shown::Everywhere { .. } => Shown::Everywhere { rank },
            Shown::Table { .. } => Shown::Table { rank },
            Shown::Data => Shown::Data,
        };
        self
    }
}
