package options

import "slices"

// page is what regions are a multiple of.
const page = 4096

// share is what the arenas of an application that is alone may hold.
func (o *Options) share() int64 { return o.MemoryMax / 100 * int64(o.AppShare) &^ (page - 1) }

// fit lowers defaults that are larger than what was set around them, so that one small arena takes one option. What was set itself is
// never changed: where it conflicts, Validate says so.
func (o *Options) fit(set map[string]bool) {
	lower := func(key string, p *int64, limits ...int64) {
		if !set[key] {
			*p = slices.Min(append(limits, *p))
		}
	}
	share := max(o.share(), page)
	lower("weft.memory.session", &o.MemorySession, share)
	lower("weft.memory.upcall", &o.MemoryUpcall, share)
	lower("weft.memory.region", &o.MemoryRegion, o.MemorySession&^(page-1), o.MemoryUpcall&^(page-1))
	lower("weft.fetch.piece", &o.FetchPiece, o.MemoryRegion, share)
	lower("weft.fetch.eager.max", &o.FetchEagerMax, o.MemoryRegion, share)
	lower("weft.fetch.eager.block", &o.FetchEagerBlock, o.FetchEagerMax)
}
