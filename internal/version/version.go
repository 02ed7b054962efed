// Package version says which weft this is.
package version

import "runtime/debug"

// linked is set by the build: -ldflags "-X weft/internal/version.linked=0.1.0".
var linked string

// String is the version that the build set or, in a build without one, the commit.
func String() string {
	if linked != "" {
		return linked
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				return "dev-" + s.Value[:12]
			}
		}
	}
	return "dev"
}
