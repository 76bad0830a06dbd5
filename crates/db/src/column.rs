//! What one column can be read as.

use burgeon_core::Money;
use jiff::Timestamp;
use jiff::civil::Date;
use rust_decimal::Decimal;
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
    String => Text, cell => cell.text().map(str::to_owned);
    Vec<u8> => Bytes, cell => cell.bytes().map(<[u8]>::to_vec);
    Uuid => Uuid, cell => cell.uuid();
    Timestamp => Timestamp, cell => cell.timestamp();
    Date => Date, cell => cell.date();
    Decimal => Decimal, cell => cell.decimal();
    Money => Big, cell => cell.i64().map(Money::from_raw);
}

impl<T: Column> Column for Option<T> {
    const TYPE: Type = T::TYPE;

    #[inline]
    fn read(cell: Cell<'_>) -> Result<Self, Mismatch> {
        if cell.is_null() { Ok(None) } else { T::read(cell).map(Some) }
    }
}
