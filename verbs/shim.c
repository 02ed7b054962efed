#include "shim.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

// verbs.h covers these functions by macros that reach for other symbols. What is looked up is the functions themselves.
#undef ibv_reg_mr
#undef ibv_query_port

// Every function of the two libraries that is called by name: result, name, arguments.
#define IBVERBS(F) \
	F(int, ibv_query_device, (struct ibv_context *, struct ibv_device_attr *)) \
	F(int, ibv_query_port, (struct ibv_context *, uint8_t, struct ibv_port_attr *)) \
	F(int, ibv_get_async_event, (struct ibv_context *, struct ibv_async_event *)) \
	F(void, ibv_ack_async_event, (struct ibv_async_event *)) \
	F(const char *, ibv_event_type_str, (enum ibv_event_type)) \
	F(struct ibv_pd *, ibv_alloc_pd, (struct ibv_context *)) \
	F(int, ibv_dealloc_pd, (struct ibv_pd *)) \
	F(struct ibv_mr *, ibv_reg_mr, (struct ibv_pd *, void *, size_t, int)) \
	F(int, ibv_dereg_mr, (struct ibv_mr *)) \
	F(struct ibv_comp_channel *, ibv_create_comp_channel, (struct ibv_context *)) \
	F(int, ibv_destroy_comp_channel, (struct ibv_comp_channel *)) \
	F(struct ibv_cq *, ibv_create_cq, (struct ibv_context *, int, void *, struct ibv_comp_channel *, int)) \
	F(int, ibv_destroy_cq, (struct ibv_cq *)) \
	F(int, ibv_get_cq_event, (struct ibv_comp_channel *, struct ibv_cq **, void **)) \
	F(void, ibv_ack_cq_events, (struct ibv_cq *, unsigned int)) \
	F(struct ibv_srq *, ibv_create_srq, (struct ibv_pd *, struct ibv_srq_init_attr *)) \
	F(int, ibv_destroy_srq, (struct ibv_srq *)) \
	F(int, ibv_destroy_qp, (struct ibv_qp *)) \
	F(int, ibv_modify_qp, (struct ibv_qp *, struct ibv_qp_attr *, int)) \
	F(int, ibv_query_qp, (struct ibv_qp *, struct ibv_qp_attr *, int, struct ibv_qp_init_attr *))

#define RDMACM(F) \
	F(struct ibv_context **, rdma_get_devices, (int *)) \
	F(void, rdma_free_devices, (struct ibv_context **)) \
	F(struct rdma_event_channel *, rdma_create_event_channel, (void)) \
	F(void, rdma_destroy_event_channel, (struct rdma_event_channel *)) \
	F(int, rdma_get_cm_event, (struct rdma_event_channel *, struct rdma_cm_event **)) \
	F(int, rdma_ack_cm_event, (struct rdma_cm_event *)) \
	F(const char *, rdma_event_str, (enum rdma_cm_event_type)) \
	F(int, rdma_create_id, (struct rdma_event_channel *, struct rdma_cm_id **, void *, enum rdma_port_space)) \
	F(int, rdma_destroy_id, (struct rdma_cm_id *)) \
	F(int, rdma_migrate_id, (struct rdma_cm_id *, struct rdma_event_channel *)) \
	F(int, rdma_bind_addr, (struct rdma_cm_id *, struct sockaddr *)) \
	F(int, rdma_listen, (struct rdma_cm_id *, int)) \
	F(int, rdma_resolve_addr, (struct rdma_cm_id *, struct sockaddr *, struct sockaddr *, int)) \
	F(int, rdma_resolve_route, (struct rdma_cm_id *, int)) \
	F(int, rdma_set_option, (struct rdma_cm_id *, int, int, void *, size_t)) \
	F(int, rdma_connect, (struct rdma_cm_id *, struct rdma_conn_param *)) \
	F(int, rdma_accept, (struct rdma_cm_id *, struct rdma_conn_param *)) \
	F(int, rdma_reject, (struct rdma_cm_id *, const void *, uint8_t)) \
	F(int, rdma_disconnect, (struct rdma_cm_id *)) \
	F(int, rdma_create_qp, (struct rdma_cm_id *, struct ibv_pd *, struct ibv_qp_init_attr *))

#define DECLARE(result, name, arguments) result(*name) arguments;
static struct functions {
	IBVERBS(DECLARE)
	RDMACM(DECLARE)
} lib;

const char *weft_load(const char *ibverbs, const char *rdmacm)
{
	struct functions found; // all, or lib stays as it was
	void *h = dlopen(ibverbs, RTLD_NOW | RTLD_GLOBAL);
	if (!h)
		return dlerror();
#define LOOK_UP(result, name, arguments) \
	if (!(found.name = (result(*) arguments)dlsym(h, #name))) \
		return dlerror();
	IBVERBS(LOOK_UP)
	h = dlopen(rdmacm, RTLD_NOW | RTLD_GLOBAL);
	if (!h)
		return dlerror();
	RDMACM(LOOK_UP)
	lib = found;
	return NULL;
}

// fail turns an errno value into -1 with errno.
static int fail(int err)
{
	if (!err)
		return 0;
	errno = err;
	return -1;
}

struct ibv_context **weft_get_devices(int *n) { return lib.rdma_get_devices(n); }
void weft_free_devices(struct ibv_context **list) { lib.rdma_free_devices(list); }

int weft_query_device(struct ibv_context *c, struct ibv_device_attr *a) { return fail(lib.ibv_query_device(c, a)); }

int weft_query_port(struct ibv_context *c, uint8_t port, struct ibv_port_attr *a)
{
	memset(a, 0, sizeof *a); // the function knows fewer members than the struct has
	return fail(lib.ibv_query_port(c, port, a));
}

int weft_async_event(struct ibv_context *c, int *type, int *port, uint32_t *qpn)
{
	struct ibv_async_event e;
	if (lib.ibv_get_async_event(c, &e))
		return -1;
	*type = e.event_type;
	*port = 0;
	*qpn = 0;
	switch (e.event_type) {
	case IBV_EVENT_QP_FATAL:
	case IBV_EVENT_QP_REQ_ERR:
	case IBV_EVENT_QP_ACCESS_ERR:
	case IBV_EVENT_COMM_EST:
	case IBV_EVENT_SQ_DRAINED:
	case IBV_EVENT_PATH_MIG:
	case IBV_EVENT_PATH_MIG_ERR:
	case IBV_EVENT_QP_LAST_WQE_REACHED:
		*qpn = e.element.qp->qp_num;
		break;
	case IBV_EVENT_PORT_ACTIVE:
	case IBV_EVENT_PORT_ERR:
	case IBV_EVENT_LID_CHANGE:
	case IBV_EVENT_PKEY_CHANGE:
	case IBV_EVENT_SM_CHANGE:
	case IBV_EVENT_CLIENT_REREGISTER:
	case IBV_EVENT_GID_CHANGE:
		*port = e.element.port_num;
		break;
	default:
		break;
	}
	lib.ibv_ack_async_event(&e);
	return 0;
}

const char *weft_event_name(int type) { return lib.ibv_event_type_str(type); }

struct ibv_pd *weft_alloc_pd(struct ibv_context *c) { return lib.ibv_alloc_pd(c); }
int weft_dealloc_pd(struct ibv_pd *pd) { return fail(lib.ibv_dealloc_pd(pd)); }

struct ibv_mr *weft_reg_mr(struct ibv_pd *pd, void *addr, size_t length, int access)
{
	return lib.ibv_reg_mr(pd, addr, length, access);
}

int weft_dereg_mr(struct ibv_mr *mr) { return fail(lib.ibv_dereg_mr(mr)); }

struct ibv_comp_channel *weft_create_comp_channel(struct ibv_context *c) { return lib.ibv_create_comp_channel(c); }
int weft_destroy_comp_channel(struct ibv_comp_channel *ch) { return fail(lib.ibv_destroy_comp_channel(ch)); }

int weft_cq_event(struct ibv_comp_channel *ch, uintptr_t *cookie)
{
	struct ibv_cq *cq;
	void *context;
	if (lib.ibv_get_cq_event(ch, &cq, &context))
		return -1;
	*cookie = (uintptr_t)context;
	lib.ibv_ack_cq_events(cq, 1); // ibv_destroy_cq waits for it
	return 0;
}

struct ibv_cq *weft_create_cq(struct ibv_context *c, int entries, uintptr_t cookie, struct ibv_comp_channel *ch, int vector)
{
	return lib.ibv_create_cq(c, entries, (void *)cookie, ch, vector);
}

int weft_destroy_cq(struct ibv_cq *cq) { return fail(lib.ibv_destroy_cq(cq)); }
int weft_arm_cq(struct ibv_cq *cq) { return fail(ibv_req_notify_cq(cq, 0)); }

int weft_poll_cq(struct ibv_cq *cq, int n, struct ibv_wc *wc)
{
	int got = ibv_poll_cq(cq, n, wc);
	return got < 0 ? fail(EIO) : got; // the man page names no error
}

struct ibv_srq *weft_create_srq(struct ibv_pd *pd, uint32_t wrs, uint32_t sges)
{
	struct ibv_srq_init_attr a = {.attr = {.max_wr = wrs, .max_sge = sges}};
	return lib.ibv_create_srq(pd, &a);
}

int weft_destroy_srq(struct ibv_srq *srq) { return fail(lib.ibv_destroy_srq(srq)); }

int weft_post_send(struct ibv_qp *qp, struct ibv_send_wr *wr, struct ibv_send_wr **bad)
{
	return fail(ibv_post_send(qp, wr, bad));
}

int weft_post_recv(struct ibv_qp *qp, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad)
{
	return fail(ibv_post_recv(qp, wr, bad));
}

int weft_post_srq_recv(struct ibv_srq *srq, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad)
{
	return fail(ibv_post_srq_recv(srq, wr, bad));
}

void weft_set_remote(struct ibv_send_wr *wr, uint64_t addr, uint32_t rkey)
{
	wr->wr.rdma.remote_addr = addr;
	wr->wr.rdma.rkey = rkey;
}

void weft_set_imm(struct ibv_send_wr *wr, uint32_t imm) { wr->imm_data = htobe32(imm); }
uint32_t weft_wc_imm(const struct ibv_wc *wc) { return be32toh(wc->imm_data); }

struct rdma_event_channel *weft_create_event_channel(void) { return lib.rdma_create_event_channel(); }
void weft_destroy_event_channel(struct rdma_event_channel *ch) { lib.rdma_destroy_event_channel(ch); }

int weft_cm_event(struct rdma_event_channel *ch, struct weft_cm_event *out)
{
	struct rdma_cm_event *e;
	if (lib.rdma_get_cm_event(ch, &e))
		return -1;
	const struct rdma_cm_id *about = e->event == RDMA_CM_EVENT_CONNECT_REQUEST ? e->listen_id : e->id;
	out->id = e->id;
	out->cookie = (uintptr_t)about->context;
	out->type = e->event;
	out->status = e->status;
	out->responder_resources = e->param.conn.responder_resources;
	out->initiator_depth = e->param.conn.initiator_depth;
	out->private_data_len = e->param.conn.private_data ? e->param.conn.private_data_len : 0;
	memcpy(out->private_data, e->param.conn.private_data ? e->param.conn.private_data : "", out->private_data_len);
	return lib.rdma_ack_cm_event(e); // rdma_destroy_id waits for it
}

const char *weft_cm_event_name(int type) { return lib.rdma_event_str(type); }

struct rdma_cm_id *weft_create_id(struct rdma_event_channel *ch, uintptr_t cookie)
{
	struct rdma_cm_id *id;
	return lib.rdma_create_id(ch, &id, (void *)cookie, RDMA_PS_TCP) ? NULL : id;
}

void weft_set_cookie(struct rdma_cm_id *id, uintptr_t cookie) { id->context = (void *)cookie; }
int weft_destroy_id(struct rdma_cm_id *id) { return lib.rdma_destroy_id(id); }
int weft_migrate_id(struct rdma_cm_id *id, struct rdma_event_channel *ch) { return lib.rdma_migrate_id(id, ch); }
int weft_bind_addr(struct rdma_cm_id *id, const void *addr) { return lib.rdma_bind_addr(id, (struct sockaddr *)addr); }
int weft_listen(struct rdma_cm_id *id, int backlog) { return lib.rdma_listen(id, backlog); }

int weft_resolve_addr(struct rdma_cm_id *id, const void *src, const void *dst, int timeout_ms)
{
	return lib.rdma_resolve_addr(id, (struct sockaddr *)src, (struct sockaddr *)dst, timeout_ms);
}

int weft_resolve_route(struct rdma_cm_id *id, int timeout_ms) { return lib.rdma_resolve_route(id, timeout_ms); }

int weft_set_ack_timeout(struct rdma_cm_id *id, uint8_t timeout)
{
	return lib.rdma_set_option(id, RDMA_OPTION_ID, RDMA_OPTION_ID_ACK_TIMEOUT, &timeout, sizeof timeout);
}

int weft_set_reuse_addr(struct rdma_cm_id *id)
{
	int on = 1;
	return lib.rdma_set_option(id, RDMA_OPTION_ID, RDMA_OPTION_ID_REUSEADDR, &on, sizeof on);
}

int weft_connect(struct rdma_cm_id *id, const struct rdma_conn_param *p, const void *data)
{
	struct rdma_conn_param with = *p;
	with.private_data = data;
	return lib.rdma_connect(id, &with);
}

int weft_accept(struct rdma_cm_id *id, const struct rdma_conn_param *p, const void *data)
{
	struct rdma_conn_param with = *p;
	with.private_data = data;
	return lib.rdma_accept(id, &with);
}

int weft_reject(struct rdma_cm_id *id, const void *data, uint8_t len) { return lib.rdma_reject(id, data, len); }
int weft_disconnect(struct rdma_cm_id *id) { return lib.rdma_disconnect(id); }

void weft_addr(struct rdma_cm_id *id, int peer, struct sockaddr_storage *to)
{
	*to = peer ? id->route.addr.dst_storage : id->route.addr.src_storage;
}

int weft_create_qp(struct rdma_cm_id *id, struct ibv_pd *pd, struct weft_qp_attr *a)
{
	struct ibv_qp_init_attr init = {
		.send_cq = a->send_cq,
		.recv_cq = a->recv_cq,
		.srq = a->srq,
		.qp_type = IBV_QPT_RC,
		.cap = {
			.max_send_wr = a->send_wrs,
			.max_recv_wr = a->recv_wrs,
			.max_send_sge = a->send_sges,
			.max_recv_sge = a->recv_sges,
			.max_inline_data = a->inline_data,
		},
	};
	if (lib.rdma_create_qp(id, pd, &init))
		return -1;
	a->inline_data = init.cap.max_inline_data;
	return 0;
}

// Not by rdma_destroy_qp, which does not tell whether the device has let go.
int weft_destroy_qp(struct rdma_cm_id *id)
{
	int err = lib.ibv_destroy_qp(id->qp);
	if (!err)
		id->qp = NULL;
	return fail(err);
}

int weft_qp_to_error(struct ibv_qp *qp)
{
	struct ibv_qp_attr a = {.qp_state = IBV_QPS_ERR};
	return fail(lib.ibv_modify_qp(qp, &a, IBV_QP_STATE));
}

int weft_qp_state(struct ibv_qp *qp, int *state)
{
	struct ibv_qp_attr a;
	struct ibv_qp_init_attr init;
	if (fail(lib.ibv_query_qp(qp, &a, IBV_QP_STATE, &init)))
		return -1;
	*state = a.qp_state;
	return 0;
}
