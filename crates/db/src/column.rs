//! What one column can be read as.

use burgeon_core::Money;
use jiff::Timestamp;
use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::Serialize;
use uuid::Uuid;

use crate::{Cell, Mismatch, Type};

/// What a single column can be read as. The portable types have it, see [`Type`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a column",
    note = "for a newtype write `burgeon_db::newtype!(Name(i64))`, for an enum stored by name `burgeon_db::text_enum!(Name)`"
)]
pub trait Column: Sized + Send + 'static {
    /// The type that messages name.
    const TYPE: Type;

    /// Reads the value.
    ///
    /// # Errors
    /// A [`Mismatch`] that says what was found instead.
    fn read(cell: Cell<'_>) -> Result<Self, Mismatch>;

    /// Writes the value as JSON, as serde would write what [`read`](Self::read) yields; for
    /// [`json_row!`](crate::json_row).
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn write_json(cell: Cell<'_>, out: &mut Vec<u8>) -> Result<(), Mismatch>
    where
        Self: Serialize,
    {
        to_json(&Self::read(cell)?, out)
    }
}

/// Straight into the bytes.
pub(crate) fn to_json(value: &(impl Serialize + ?Sized), out: &mut Vec<u8>) -> Result<(), Mismatch> {
    serde_json::to_writer(out, value).map_err(|error| Mismatch::value(format!("as JSON: {error}")))
}

macro_rules! columns {
    ($($rust:ty => $type:ident, $cell:ident => $read:expr;)*) => {$(
        impl Column for $rust {
            const TYPE: Type = Type::$type;

            #[inline]
            fn read($cell: Cell<'_>) -> Result<Self, Mismatch> {
                $read
            }
        }
    )*};
}

columns! {
    bool => Bool, cell => cell.bool();
    i16 => Small, cell => cell.i16();
    i32 => Int, cell => cell.i32();
    i64 => Big, cell => cell.i64();
    f64 => Float, cell => cell.f64();
    Vec<u8> => Bytes, cell => cell.bytes().map(<[u8]>::to_vec);
    Uuid => Uuid, cell => cell.uuid();
    Timestamp => Timestamp, cell => cell.timestamp();
    Date => Date, cell => cell.date();
    Decimal => Decimal, cell => cell.decimal();
    Money => Big, cell => cell.i64().map(Money::from_raw);
}

impl Column for String {
    const TYPE: Type = Type::Text;

    #[inline]
    fn read(cell: Cell<'_>) -> Result<Self, Mismatch> {
        cell.text().map(str::to_owned)
    }

    fn write_json(cell: Cell<'_>, out: &mut Vec<u8>) -> Result<(), Mismatch> {
        to_json(cell.text()?, out)
    }
}

impl<T: Column> Column for Option<T> {
    const TYPE: Type = T::TYPE;

    #[inline]
    fn read(cell: Cell<'_>) -> Result<Self, Mismatch> {
        if cell.is_null() { Ok(None) } else { T::read(cell).map(Some) }
    }

    fn write_json(cell: Cell<'_>, out: &mut Vec<u8>) -> Result<(), Mismatch>
    where
        Self: Serialize,
    {
        // That an Option can be serialized says so of what is in it, but not to the compiler: what is there is read.
        if cell.is_null() {
            out.extend_from_slice(b"null");
            return Ok(());
        }
        to_json(&Self::read(cell)?, out)
    }
}
