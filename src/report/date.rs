//! Dates as mail spells them (RFC 5322, section 3.3, and its offenders).
