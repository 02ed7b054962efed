package options

import "slices"

// page is what regions are a multiple of.
const page = 4096

// fit lowers defaults that are larger than what was set around them, so that one small arena takes one option. What was set itself is
// never changed: where it conflicts, Validate says so.
func (o *Options) fit(set map[string]bool) {
	lower := func(key string, p *int64, limits ...int64) {
		if !set[key] {
			*p = slices.Min(append(limits, *p))
		}
	}
	lower("weft.memory.session", &o.MemorySession, o.MemoryMax)
	lower("weft.memory.upcall", &o.MemoryUpcall, o.MemoryMax)
	lower("weft.memory.region", &o.MemoryRegion, o.MemorySession&^(page-1), o.MemoryUpcall&^(page-1))
	lower("weft.fetch.piece", &o.FetchPiece, o.MemoryRegion)
	lower("weft.fetch.eager.max", &o.FetchEagerMax, o.MemoryRegion)
	lower("weft.fetch.eager.block", &o.FetchEagerBlock, o.FetchEagerMax)
}
