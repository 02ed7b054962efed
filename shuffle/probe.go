package shuffle

// ProbeApp is the application under which every daemon has one block, ProbeBlock, for whoever asks: by reading it `weft doctor --peer` tries a way
// between two hosts. Its token is known to all, so no executor may belong to it.
var ProbeApp = App{ID: "weft.doctor"}

// The probe block is the same on all daemons of this version of the protocol.
const (
	ProbeBlock = "probe"
	ProbeLen   = 1 << 20
)

// FillProbe writes the probe block. No page of it is like another.
func FillProbe(b []byte) {
	for i := range b {
		b[i] = byte(uint32(i) * 2654435761 >> 24)
	}
}
