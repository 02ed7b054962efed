//go:build !invariants

package invariants

// Enabled tells whether the binary was built with the tag.
const Enabled = false
