package shuffle

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"weft/internal/pb/blockpb"
)

func TestReasonsAreThoseOfTheProtocol(t *testing.T) {
	for number, name := range blockpb.Reason_name {
		word := strings.ToLower(strings.TrimPrefix(name, "REASON_"))
		if got := Reason(number).String(); got != word {
			t.Errorf("reason %d is %q here and %s in block.proto", number, got, name)
		}
	}
	if len(reasonWords) != len(blockpb.Reason_name) {
		t.Errorf("%d words for %d reasons", len(reasonWords), len(blockpb.Reason_name))
	}
	if got := Reason(1 << 31).String(); got != "unknown" {
		t.Errorf("a number of a later version is %q", got)
	}
	if all := Reasons(); len(all) != len(reasonWords)-1 || all[0] != ReasonInternal || all[len(all)-1] != ReasonDisabled {
		t.Errorf("Reasons: %v", all)
	}
}

func TestToBlockError(t *testing.T) {
	if ToBlockError(nil) != nil {
		t.Error("nil is no error")
	}
	own := Errorf(ReasonNotFound, "block %d", 7)
	if own.Error() != "not_found: block 7" {
		t.Errorf("text: %s", own)
	}
	tests := map[Reason]error{
		ReasonNotFound:  fmt.Errorf("wrapped: %w", own),
		ReasonCancelled: fmt.Errorf("wrapped: %w", context.Canceled),
		ReasonTimeout:   context.DeadlineExceeded,
		ReasonInternal:  errors.New("something else"),
	}
	for want, err := range tests {
		if got := ToBlockError(err); got.Reason != want || got.Detail == "" {
			t.Errorf("%v: %v", err, got)
		}
	}
}
