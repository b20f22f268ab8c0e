//! Levels of importance: which calls go first.

use std::fmt;

/// How much depends on a call. More important is less, so that a list of calls sorts with the most important first.
///
/// The four classes are those of B. Beyer et al. (eds.), *Site Reliability Engineering*, chapter 21, "Criticality".
///
/// ```
/// use backpressure_core::limit::Criticality;
///
/// assert!(Criticality::CriticalPlus < Criticality::Sheddable);
/// assert_eq!(Criticality::from_name("Sheddable-Plus"), Some(Criticality::SheddablePlus));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Criticality {
    /// The worst to lose: a person waits, and losing it is an incident.
    CriticalPlus = 0,
    /// What a call is unless somebody says otherwise.
    #[default]
    Critical = 1,
    /// May be refused for minutes: batch work that will be tried again.
    SheddablePlus = 2,
    /// May be refused for hours, or for good.
    Sheddable = 3,
}

impl Criticality {
    /// Every class, the most important first.
    pub const ALL: [Self; 4] = [Self::CriticalPlus, Self::Critical, Self::SheddablePlus, Self::Sheddable];

    /// The name in lower case with underscores, as [`Display`](fmt::Display) writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CriticalPlus => "critical_plus",
            Self::Critical => "critical",
            Self::SheddablePlus => "sheddable_plus",
            Self::Sheddable => "sheddable",
        }
    }

    /// The class of that name, in any case, with `_`, `-` or nothing between the words; `None` for anything else.
    pub fn from_name(name: &str) -> Option<Self> {
        fn letters(name: &str) -> impl Iterator<Item = u8> + '_ {
            name.bytes().filter(|b| !matches!(b, b'_' | b'-')).map(|b| b.to_ascii_lowercase())
        }
        Self::ALL.into_iter().find(|class| letters(class.as_str()).eq(letters(name)))
    }
}

impl fmt::Display for Criticality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A class and a rank inside it: the 512 steps by which calls are told apart under pressure. More important is less.
///
/// Four classes are too coarse to shed by: giving up a whole class wastes what part of it would have fitted. Inside a
/// class it should be the same callers that are refused for a while rather than a bit of everybody, because a caller
/// whose ten calls make one page is not helped by nine of them. (Both from the overload control of WeChat: H. Zhou et
/// al., *Overload Control for Scaling WeChat Microservices*, SoCC 2018.)
///
/// ```
/// use backpressure_core::limit::{Criticality, Level};
///
/// let paying = Level::new(Criticality::Critical, 0);
/// let free = Level::new(Criticality::Critical, 100);
/// assert!(Level::from(Criticality::CriticalPlus) < paying && paying < free);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level(u16);

impl Level {
    /// How many there are.
    pub const COUNT: usize = 4 * Self::RANKS as usize;

    /// The most important one.
    pub const FIRST: Self = Self(0);

    /// The least important one. Who admits it admits everybody.
    pub const LAST: Self = Self(Self::COUNT as u16 - 1);

    const RANKS: u16 = 128;

    /// A level by `rank` inside its class: 0 is the most important, 127 the least, and above that is 127.
    ///
    /// A rank by usage, the heaviest tenant last, keeps one tenant from crowding out the others.
    pub const fn new(criticality: Criticality, rank: u8) -> Self {
        let rank = if rank as u16 >= Self::RANKS { Self::RANKS - 1 } else { rank as u16 };
        Self(criticality as u16 * Self::RANKS + rank)
    }

    /// A level by lot: a tenant's rank is the same in all services for an `hour`, and another one in the next.
    ///
    /// That spreads refusals fairly among tenants that are all alike. It cannot protect them from one that floods: the lot knows
    /// nothing of usage, and half of the tenants have a worse one than the flooder. For that, give each tenant a
    /// [rank](Level::new) by how much it [uses](super::Usage).
    ///
    /// `hour` is any number that changes when the lots are to be drawn again, such as the hours since the Unix epoch.
    pub const fn of_tenant(criticality: Criticality, tenant_hash: u64, hour: u64) -> Self {
        // SplitMix64 of both (G. L. Steele et al., OOPSLA 2014), so that hashes that differ in few bits spread.
        let mut x = tenant_hash.wrapping_add(hour.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Self::new(criticality, ((x ^ (x >> 31)) % Self::RANKS as u64) as u8)
    }

    /// The class.
    pub const fn criticality(self) -> Criticality {
        match self.0 / Self::RANKS {
            0 => Criticality::CriticalPlus,
            1 => Criticality::Critical,
            2 => Criticality::SheddablePlus,
            _ => Criticality::Sheddable,
        }
    }

    /// The rank inside the class, 0 to 127.
    pub const fn rank(self) -> u8 {
        (self.0 % Self::RANKS) as u8
    }

    /// The level as a number below [`COUNT`](Level::COUNT), for atomics.
    pub const fn as_u16(self) -> u16 {
        self.0
    }

    /// The level that [`as_u16`](Level::as_u16) maps to `number`; `None` from [`COUNT`](Level::COUNT) on.
    pub const fn from_u16(number: u16) -> Option<Self> {
        if (number as usize) < Self::COUNT { Some(Self(number)) } else { None }
    }
}

impl Default for Level {
    /// The most important [`Critical`](Criticality::Critical) level.
    #[inline]
    fn default() -> Self {
        Criticality::default().into()
    }
}

impl From<Criticality> for Level {
    fn from(criticality: Criticality) -> Self {
        Self::new(criticality, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_numbers_are_one_to_one_and_in_order() {
        let levels = Criticality::ALL.into_iter().flat_map(|class| (0..128).map(move |rank| (class, rank)));
        for (number, (class, rank)) in (0u16..).zip(levels) {
            let level = Level::new(class, rank);
            assert_eq!((level.as_u16(), level.criticality(), level.rank()), (number, class, rank));
            assert_eq!(Level::from_u16(number), Some(level));
        }
        assert_eq!(Level::from_u16(Level::COUNT as u16), None);
        assert_eq!((Level::FIRST.as_u16(), Level::LAST.as_u16()), (0, 511));
        assert_eq!(Level::new(Criticality::Critical, u8::MAX), Level::new(Criticality::Critical, 127));
    }

    #[test]
    fn names_round_trip_however_they_are_written() {
        for class in Criticality::ALL {
            assert_eq!(Criticality::from_name(&class.to_string()), Some(class));
            assert_eq!(Criticality::from_name(&format!("{class:?}")), Some(class));
            assert_eq!(Criticality::from_name(&class.as_str().to_uppercase().replace('_', "-")), Some(class));
        }
        assert_eq!(Criticality::from_name(""), None);
        assert_eq!(Criticality::from_name("criticalplusplus"), None);
    }

    #[test]
    fn tenants_keep_their_lot_for_an_hour_and_are_spread_evenly() {
        let of = |tenant, hour| Level::of_tenant(Criticality::Sheddable, tenant, hour);
        assert_eq!(of(7, 1), of(7, 1));
        assert!((0..1000).filter(|&tenant| of(tenant, 1) == of(tenant, 2)).count() < 30);
        let mut tenants = [0; 128];
        for tenant in 0..128_000 {
            let level = of(tenant, 490_000);
            assert_eq!(level.criticality(), Criticality::Sheddable);
            tenants[usize::from(level.rank())] += 1;
        }
        assert!(tenants.iter().all(|n| (800..1200).contains(n)), "{tenants:?}");
    }
}
