// The C side of package verbs: libibverbs and librdmacm, opened at run time, and what takes several of their calls at once.
#ifndef WEFT_VERBS_SHIM_H
#define WEFT_VERBS_SHIM_H

#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>
#include <stddef.h>
#include <stdint.h>

// weft_load opens both libraries. It returns NULL, or what failed, in the dynamic linker's words; that text must not be freed.
// Call it once before anything else.
const char *weft_load(const char *ibverbs, const char *rdmacm);

// Conventions, as in the man pages: a pointer or NULL with errno; -1 with errno; or the errno value itself. Those of the last kind
// are turned into -1 with errno, so that all are read in one way.

struct ibv_context **weft_get_devices(int *n);
void weft_free_devices(struct ibv_context **list);
int weft_query_device(struct ibv_context *c, struct ibv_device_attr *a);
int weft_query_port(struct ibv_context *c, uint8_t port, struct ibv_port_attr *a);
// weft_async_event takes one event off and acknowledges it. qpn is that of the queue pair that it is about, or 0.
int weft_async_event(struct ibv_context *c, int *type, int *port, uint32_t *qpn);
const char *weft_event_name(int type);

struct ibv_pd *weft_alloc_pd(struct ibv_context *c);
int weft_dealloc_pd(struct ibv_pd *pd);
struct ibv_mr *weft_reg_mr(struct ibv_pd *pd, void *addr, size_t length, int access);
int weft_dereg_mr(struct ibv_mr *mr);

struct ibv_comp_channel *weft_create_comp_channel(struct ibv_context *c);
int weft_destroy_comp_channel(struct ibv_comp_channel *ch);
// weft_cq_event takes one event off, acknowledges it and tells which completion queue it is of, by the queue's cookie.
int weft_cq_event(struct ibv_comp_channel *ch, uintptr_t *cookie);
struct ibv_cq *weft_create_cq(struct ibv_context *c, int entries, uintptr_t cookie, struct ibv_comp_channel *ch, int vector);
int weft_destroy_cq(struct ibv_cq *cq);
int weft_arm_cq(struct ibv_cq *cq);
int weft_poll_cq(struct ibv_cq *cq, int n, struct ibv_wc *wc);

struct ibv_srq *weft_create_srq(struct ibv_pd *pd, uint32_t wrs, uint32_t sges);
int weft_destroy_srq(struct ibv_srq *srq);

// The post functions give the first work request that was not posted in *bad.
int weft_post_send(struct ibv_qp *qp, struct ibv_send_wr *wr, struct ibv_send_wr **bad);
int weft_post_recv(struct ibv_qp *qp, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad);
int weft_post_srq_recv(struct ibv_srq *srq, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad);

// What Go cannot spell: the members of the anonymous unions in ibv_send_wr.
void weft_set_remote(struct ibv_send_wr *wr, uint64_t addr, uint32_t rkey);
void weft_set_imm(struct ibv_send_wr *wr, uint32_t imm);
uint32_t weft_wc_imm(const struct ibv_wc *wc);

// A CM event, copied and acknowledged.
struct weft_cm_event {
	struct rdma_cm_id *id; // of a connection request: the new one
	uintptr_t cookie;      // of the id, or of the listening id of a connection request
	int type;
	int status;
	uint8_t responder_resources;
	uint8_t initiator_depth;
	uint8_t private_data_len;
	uint8_t private_data[256];
};

struct rdma_event_channel *weft_create_event_channel(void);
void weft_destroy_event_channel(struct rdma_event_channel *ch);
int weft_cm_event(struct rdma_event_channel *ch, struct weft_cm_event *e);
const char *weft_cm_event_name(int type);
struct rdma_cm_id *weft_create_id(struct rdma_event_channel *ch, uintptr_t cookie);
void weft_set_cookie(struct rdma_cm_id *id, uintptr_t cookie);
int weft_destroy_id(struct rdma_cm_id *id);
int weft_migrate_id(struct rdma_cm_id *id, struct rdma_event_channel *ch);
int weft_bind_addr(struct rdma_cm_id *id, const void *addr);
int weft_listen(struct rdma_cm_id *id, int backlog);
int weft_resolve_addr(struct rdma_cm_id *id, const void *src, const void *dst, int timeout_ms);
int weft_resolve_route(struct rdma_cm_id *id, int timeout_ms);
int weft_set_ack_timeout(struct rdma_cm_id *id, uint8_t timeout);
int weft_set_reuse_addr(struct rdma_cm_id *id);
int weft_connect(struct rdma_cm_id *id, const struct rdma_conn_param *p, const void *data);
int weft_accept(struct rdma_cm_id *id, const struct rdma_conn_param *p, const void *data);
int weft_reject(struct rdma_cm_id *id, const void *data, uint8_t len);
int weft_disconnect(struct rdma_cm_id *id);
// weft_addr copies the local or the peer's socket address.
void weft_addr(struct rdma_cm_id *id, int peer, struct sockaddr_storage *to);

struct weft_qp_attr {
	struct ibv_cq *send_cq;
	struct ibv_cq *recv_cq;
	struct ibv_srq *srq; // or NULL
	uint32_t send_wrs;
	uint32_t recv_wrs;
	uint32_t send_sges;
	uint32_t recv_sges;
	uint32_t inline_data; // in: wanted; out: what the device grants
};

int weft_create_qp(struct rdma_cm_id *id, struct ibv_pd *pd, struct weft_qp_attr *a);
int weft_destroy_qp(struct rdma_cm_id *id);
int weft_qp_to_error(struct ibv_qp *qp);
int weft_qp_state(struct ibv_qp *qp, int *state);

#endif
