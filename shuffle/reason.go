package shuffle

import (
	"context"
	"errors"
	"fmt"
)

// The reasons, with the numbers of proto/block.proto, where each is explained.
const (
	ReasonNone Reason = iota
	ReasonInternal
	ReasonDaemonGone
	ReasonPeerUnknown
	ReasonPeerUnreachable
	ReasonPeerLost
	ReasonPeerRefused
	ReasonOwnerGone
	ReasonNotFound
	ReasonBadMapOutput
	ReasonChecksum
	ReasonNoSpace
	ReasonTooLarge
	ReasonTimeout
	ReasonCancelled
	ReasonEncrypted
	ReasonDisabled
)

var reasonWords = [...]string{
	"none",
	"internal",
	"daemon_gone",
	"peer_unknown",
	"peer_unreachable",
	"peer_lost",
	"peer_refused",
	"owner_gone",
	"not_found",
	"bad_map_output",
	"checksum",
	"no_space",
	"too_large",
	"timeout",
	"cancelled",
	"encrypted",
	"disabled",
}

// String is the word for r: the value of the label `reason`. A number that this version does not know has the word "unknown", so
// that a peer cannot make up label values.
func (r Reason) String() string {
	if int(r) >= len(reasonWords) {
		return "unknown"
	}
	return reasonWords[r]
}

// Reasons lists every reason but ReasonNone, for counters that begin at zero.
func Reasons() []Reason {
	all := make([]Reason, 0, len(reasonWords)-1)
	for r := ReasonInternal; int(r) < len(reasonWords); r++ {
		all = append(all, r)
	}
	return all
}

// Errorf makes a BlockError.
func Errorf(r Reason, format string, args ...any) *BlockError {
	return &BlockError{Reason: r, Detail: fmt.Sprintf(format, args...)}
}

// ToBlockError is the BlockError in err's chain or, where there is none, one made of err: a context's end becomes ReasonCancelled or
// ReasonTimeout, everything else ReasonInternal. It is nil for nil.
func ToBlockError(err error) *BlockError {
	if err == nil {
		return nil
	}
	var be *BlockError
	switch {
	case errors.As(err, &be):
		return be
	case errors.Is(err, context.Canceled):
		return &BlockError{Reason: ReasonCancelled, Detail: err.Error()}
	case errors.Is(err, context.DeadlineExceeded):
		return &BlockError{Reason: ReasonTimeout, Detail: err.Error()}
	default:
		return &BlockError{Reason: ReasonInternal, Detail: err.Error()}
	}
}
