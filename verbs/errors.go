package verbs

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
)

var (
	// ErrInUse: the handle was not closed, because others depend on it.
	ErrInUse = errors.New("still in use")
	// ErrClosed: the handle was closed, here or meanwhile.
	ErrClosed = errors.New("closed")
)

// Error is a call that failed: which, on what, and its errno, for errors.Is.
type Error struct {
	Op     string // the function, as in its man page
	Object string
	Errno  syscall.Errno
}

func (e *Error) Error() string {
	text := e.Op + " of " + e.Object + ": " + e.Errno.Error()
	if hint := hints[hintKey{e.Op, e.Errno}]; hint != "" {
		text += " (" + hint + ")"
	}
	return text
}

func (e *Error) Unwrap() error { return e.Errno }

type hintKey struct {
	op    string
	errno syscall.Errno
}

// hints are what to do about errors that users meet.
var hints = map[hintKey]string{
	{"ibv_reg_mr", syscall.ENOMEM}:       "is the limit of locked memory too small? see ulimit -l, LimitMEMLOCK= of systemd, --ulimit memlock of containers",
	{"ibv_reg_mr", syscall.EFAULT}:       "the mapping does not allow this access, or the file is shorter than it",
	{"ibv_alloc_pd", syscall.EACCES}:     "may this user open /dev/infiniband/uverbs*?",
	{"rdma_get_devices", syscall.ENODEV}: "no RDMA device, or /dev/infiniband is not in this container",
}

// failed is the error of a call by its errno; err is cgo's second result.
func failed(op, object string, err error) error {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		errno = syscall.EIO // a call that failed without saying why
	}
	return &Error{op, object, errno}
}

// noEvent is the error of a function that takes an event: EAGAIN, which says that there is none, as it is.
func noEvent(op, object string, err error) error {
	if err == syscall.EAGAIN || err == syscall.EINTR { //nolint:errorlint // cgo's second result is the bare number
		return err
	}
	return failed(op, object, err)
}

// WCStatus is ibv_wc_status: how a work request ended. It is an error, too, for errors.Is of a *WCError.
type WCStatus int

// Statuses that callers tell apart. ibv_poll_cq(3).
const (
	WCSuccess        WCStatus = 0
	WCLocLenErr      WCStatus = 1
	WCLocQPOpErr     WCStatus = 2
	WCLocProtErr     WCStatus = 4
	WCWRFlushErr     WCStatus = 5 // the echo of an error before it
	WCRemInvReqErr   WCStatus = 9
	WCRemAccessErr   WCStatus = 10
	WCRemOpErr       WCStatus = 11
	WCRetryExcErr    WCStatus = 12 // the peer does not acknowledge
	WCRNRRetryExcErr WCStatus = 13
)

var wcStatuses = strings.Fields("SUCCESS LOC_LEN_ERR LOC_QP_OP_ERR LOC_EEC_OP_ERR LOC_PROT_ERR WR_FLUSH_ERR MW_BIND_ERR BAD_RESP_ERR " +
	"LOC_ACCESS_ERR REM_INV_REQ_ERR REM_ACCESS_ERR REM_OP_ERR RETRY_EXC_ERR RNR_RETRY_EXC_ERR LOC_RDD_VIOL_ERR REM_INV_RD_REQ_ERR " +
	"REM_ABORT_ERR INV_EECN_ERR INV_EEC_STATE_ERR FATAL_ERR RESP_TIMEOUT_ERR GENERAL_ERR TM_ERR TM_RNDV_INCOMPLETE")

func (s WCStatus) String() string {
	if s >= 0 && int(s) < len(wcStatuses) {
		return wcStatuses[s]
	}
	return fmt.Sprintf("WC_STATUS_%d", int(s))
}

func (s WCStatus) Error() string { return s.String() }

// WCError is a work request that did not succeed.
type WCError struct {
	Status    WCStatus
	VendorErr uint32 // of the device; means something to its maker only
	QPN       uint32
	ID        uint64 // of the work request
}

func (e *WCError) Error() string {
	return fmt.Sprintf("work request %d of QP %d: %v (vendor error %d)", e.ID, e.QPN, e.Status, e.VendorErr)
}

func (e *WCError) Unwrap() error { return e.Status }
