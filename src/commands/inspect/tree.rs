//! Puts namespaces below the user namespace they belong to, and pid
//! namespaces below their parents.

use super::ns::Row;
use crate::kernel::namespace::{Id, Kind};
use crate::ui::tree::branches;

/// The rows in the order of the tree, each with its branch drawn. Rows whose
/// superior is not among them stand at the left.
pub(super) fn ordered(rows: Vec<Row>) -> Vec<Row> {
    let superiors: Vec<_> = rows.iter().map(|row| superior(row, &rows)).collect();
    let order = branches(&superiors);
    let mut rows: Vec<_> = rows.into_iter().map(Some).collect();
    let placed = order.into_iter().filter_map(|(at, branch)| {
        let mut row = rows.get_mut(at)?.take()?;
        row.branch = branch;
        Some(row)
    });
    placed.collect()
}

/// Which row stands above this one.
fn superior(row: &Row, rows: &[Row]) -> Option<usize> {
    let listed = |id: Option<Id>| rows.iter().position(|row| Some(row.id) == id);
    match row.id.kind {
        Kind::Pid => listed(row.family.parent).or_else(|| listed(row.family.owner)),
        _ => listed(row.family.owner),
    }
}
