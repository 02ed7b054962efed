package verbs

import (
	"errors"
	"net/netip"
	"strings"
	"syscall"
	"testing"
)

func TestLibrariesThatAreMissingAreNamedWithWhatToDo(t *testing.T) {
	err := load("libibverbs-of-the-test.so.1", librdmacm)
	var missing *LibraryError
	if !errors.As(err, &missing) || !strings.Contains(err.Error(), "libibverbs-of-the-test.so.1: cannot open shared object file") ||
		!strings.Contains(err.Error(), "apt-get install ibverbs-providers librdmacm1") {
		t.Errorf("load: %v", err)
	}
	if err := load("libc.so.6", librdmacm); err == nil || !strings.Contains(err.Error(), "undefined symbol: ibv_query_device") {
		t.Errorf("load of another library: %v", err)
	}
}

func TestErrorsSayWhatFailedAndWhatToDo(t *testing.T) {
	err := failed("ibv_reg_mr", "4096 bytes on rxe0", syscall.ENOMEM)
	if !errors.Is(err, syscall.ENOMEM) ||
		!strings.HasPrefix(err.Error(), "ibv_reg_mr of 4096 bytes on rxe0: cannot allocate memory (is the limit of locked memory too small?") {
		t.Errorf("%v", err)
	}
	if err := failed("ibv_poll_cq", "rxe0", nil); err.Error() != "ibv_poll_cq of rxe0: input/output error" {
		t.Errorf("without an errno: %v", err)
	}
	wc := error(&WCError{WCRetryExcErr, 0x81, 17, 3})
	if !errors.Is(wc, WCRetryExcErr) || errors.Is(wc, WCWRFlushErr) {
		t.Errorf("errors.Is of %v", wc)
	}
	if want := "work request 3 of QP 17: RETRY_EXC_ERR (vendor error 129)"; wc.Error() != want {
		t.Errorf("%v, want %v", wc, want)
	}
	if WCSuccess.String() != "SUCCESS" || WCRNRRetryExcErr.String() != "RNR_RETRY_EXC_ERR" || WCStatus(99).String() != "WC_STATUS_99" {
		t.Error(WCSuccess, WCRNRRetryExcErr, WCStatus(99))
	}
}

func TestParentsStayOpenAsLongAsTheirChildren(t *testing.T) {
	var parent, other, child node
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(parent.attach("PD"))
	check(other.attach("CQ"))
	check(child.attach("QP", &parent, &other))
	freed := 0
	free := func() error { freed++; return nil }
	if err := parent.detach(free); !errors.Is(err, ErrInUse) || err.Error() != "closing a PD: 1 QP: still in use" {
		t.Errorf("closing the parent: %v", err)
	}
	if err := child.detach(func() error { return syscall.EBUSY }); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("closing what cannot be freed: %v", err)
	}
	check(child.detach(free))
	check(child.detach(free))
	check(parent.detach(free))
	if freed != 2 {
		t.Errorf("%d handles were freed, want 2", freed)
	}
	var late node
	if err := late.attach("QP", &other, &parent); !errors.Is(err, ErrClosed) {
		t.Errorf("a child of a closed parent: %v", err)
	}
	check(other.detach(nil)) // the failed child does not hold it
}

func TestSocketAddressesGoThereAndBack(t *testing.T) {
	for _, s := range []string{"10.0.0.1:7400", "[fd00::1]:1", "[fe80::1%1]:65535", "0.0.0.0:0", "[::]:0"} {
		want := netip.MustParseAddrPort(s)
		b := encodeAddr(want)
		if got := decodeAddr(append(b, make([]byte, 128-len(b))...)); got != want {
			t.Errorf("%v became %v", want, got)
		}
	}
	if got := decodeAddr(make([]byte, 128)); got.IsValid() {
		t.Errorf("no address became %v", got)
	}
}

func TestBatchesRefuseMoreThanTheyHold(t *testing.T) {
	b := NewSendBatch(2, 1)
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	b.Read(1, Remote{0x1000, 7}, Signaled, SGE{0x2000, 8, 9})
	b.Send(2, 0)
	if !b.Full() || b.Len() != 2 || b.wrs[0].next != &b.wrs[1] || b.wrs[1].next != nil {
		t.Error("the requests are not one list")
	}
	defer func() {
		if recover() == nil {
			t.Error("a third request was taken")
		}
	}()
	b.Send(3, 0)
}
