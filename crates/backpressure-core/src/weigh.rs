//! The weights of common types.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

/// Something with a weight of its own: for strings and buffers, their length in bytes.
///
/// The weight is that of the contents, not of the memory set aside for them. It is asked for once, when the item is
/// offered. Where another weight is wanted, a closure can weigh: whatever has a `weigh_bytes` has a `weigh_by`.
///
/// ```
/// use backpressure_core::Weigh;
///
/// assert_eq!("häh".weight(), 4);
/// assert_eq!(vec![0_u8; 300].weight(), 300);
/// assert_eq!(Box::new(String::from("abc")).weight(), 3);
/// ```
pub trait Weigh {
    /// The weight.
    fn weight(&self) -> usize;
}

macro_rules! weighs_its_length {
    ($($contents:ty),+) => {$(
        impl Weigh for $contents {
            fn weight(&self) -> usize {
                self.len()
            }
        }
    )+};
}

weighs_its_length!(str, String, [u8], Vec<u8>);
#[cfg(feature = "bytes")]
weighs_its_length!(bytes::Bytes, bytes::BytesMut);

impl<const N: usize> Weigh for [u8; N] {
    fn weight(&self) -> usize {
        N
    }
}

impl<B: Weigh + ToOwned + ?Sized> Weigh for Cow<'_, B> {
    fn weight(&self) -> usize {
        (**self).weight()
    }
}

macro_rules! weighs_what_it_points_to {
    ($($pointer:ty),+) => {$(
        impl<T: Weigh + ?Sized> Weigh for $pointer {
            fn weight(&self) -> usize {
                (**self).weight()
            }
        }
    )+};
}

weighs_what_it_points_to!(&T, &mut T, Box<T>, Rc<T>, Arc<T>);

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(item: impl Weigh) -> usize {
        item.weight()
    }

    #[test]
    fn everything_made_of_bytes_weighs_its_length() {
        assert_eq!([weight("four"), weight(String::from("four")), weight(b"four"), weight(*b"four")], [4; 4]);
        assert_eq!([weight(&b"four"[..]), weight(b"four".to_vec()), weight(Cow::Borrowed("four"))], [4; 3]);
        assert_eq!(
            [weight(Arc::<str>::from("four")), weight(Rc::new(*b"four")), weight(&mut *b"four".to_vec())],
            [4; 3]
        );
        assert_eq!(weight(Vec::<u8>::with_capacity(100)), 0, "room set aside weighs nothing");
    }

    #[cfg(feature = "bytes")]
    #[test]
    fn a_slice_of_shared_bytes_weighs_its_own_length() {
        let shared = bytes::Bytes::from_static(b"a longer buffer");
        assert_eq!(weight(shared.slice(2..8)), 6);
        assert_eq!(weight(bytes::BytesMut::from(&b"four"[..])), 4);
    }
}
