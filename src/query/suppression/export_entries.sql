-- The entries of the last export for a target, in the order of exports.
SELECT folded, list, address, scope, digest FROM export_entry
WHERE export = :export
ORDER BY folded, list, address, scope
