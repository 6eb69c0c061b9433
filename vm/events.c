/* SPDX-License-Identifier: Apache-2.0 */
/* Events: what include/socle/event.h promises. Each VM that uses them has a table of its events, with a lock
 * of its own; nobody holds two but to bind, in the order of their addresses. Who works on another VM's table
 * has counted a reference, so that the table stays when the VM goes; its guest memory is touched with
 * the lock held and while `vm` is set. */
#include "hypercall.h"

#include "host.h"
#include "socle/event.h"
#include "socle/hypercall.h"

_Static_assert(sizeof(struct socle_event_page) == PAGE_SIZE, "the guests know it so");
_Static_assert(GUEST_MAX_VCPUS <= SOCLE_EVENT_VCPUS, "a word for each");

enum port_state {
	PORT_FREE,
	PORT_SELF,
	PORT_OFFERED, /* to VM `peer_id` */
	PORT_BOUND,
	PORT_CLOSED, /* by the other end */
};

struct port {
	u8 state;
	u8 vcpu;
	u16 peer_event;
	u64 binding;         /* the same at both ends, and never again */
	u32 peer_id;         /* while it is offered */
	struct events *peer; /* counted; while it is bound */
};

struct events {
	struct spinlock lock;
	u32 refs;                      /* atomic */
	struct vm *vm;                 /* NULL: it has ended */
	struct socle_event_page *page; /* NULL: nowhere */
	u8 vector;
	struct port ports[SOCLE_EVENTS];
};

static struct events *events_get(struct events *e)
{
	__atomic_fetch_add(&e->refs, 1, __ATOMIC_RELAXED);
	return e;
}

static void events_put(struct events *e)
{
	/* Whoever frees it sees what all others did. */
	if (e && __atomic_fetch_sub(&e->refs, 1, __ATOMIC_ACQ_REL) == 1)
		heap_free(e);
}

/* ---- delivery; the lock of the receiver is held ---- */
/* Pinned, until another takes its place or vm_events_stop(): any CPU uses it, with the lock only. */
static struct socle_event_page *page_of(struct events *e)
{
	return e->vm ? e->page : NULL;
}

static void page_leave(struct gmem *m, struct events *e)
{
	if (e->page)
		gmem_unpin(m, e->page);
	e->page = NULL;
}

static void upcall(struct events *e, struct socle_event_page *p, unsigned vcpu)
{
	/* Who finds 1 there is sure that the guest has not looked yet: it looks after it has written 0. */
	if (!__atomic_exchange_n(&p->vcpu[vcpu].upcall, 1, __ATOMIC_SEQ_CST))
		lapic_post(&e->vm->guest.vcpus[vcpu]->lapic, e->vector, false);
}

static void deliver(struct events *e, unsigned n)
{
	struct socle_event_page *p = page_of(e);
	u64 bit = BIT(n % 64);
	/* Whoever set the bit before us sees to the upcall. */
	if (!p || __atomic_fetch_or(&p->pending[n / 64], bit, __ATOMIC_SEQ_CST) & bit)
		return;
	/* Pending first, then the mask; the guest that unmasks does it the other way round: one of us
	 * sees the other. */
	if (!(__atomic_load_n(&p->mask[n / 64], __ATOMIC_SEQ_CST) & bit))
		upcall(e, p, e->ports[n].vcpu);
}

static void upcall_if_pending(struct events *e, struct socle_event_page *p, unsigned n)
{
	u64 bit = BIT(n % 64);
	if (__atomic_load_n(&p->pending[n / 64], __ATOMIC_SEQ_CST) &
	    ~__atomic_load_n(&p->mask[n / 64], __ATOMIC_SEQ_CST) & bit)
		upcall(e, p, e->ports[n].vcpu);
}

/* ---- the table ---- */
/* With the VM's lock: the port of an event number that a guest gave. *rc says why there is none. */
static struct port *port_in_use(struct events *e, u64 n, i64 *rc)
{
	*rc = !n || n >= SOCLE_EVENTS ? SOCLE_EINVAL : 0;
	if (!*rc && e->ports[n].state == PORT_FREE)
		*rc = SOCLE_ENOENT;
	return *rc ? NULL : &e->ports[n];
}

static unsigned port_take(struct events *e, enum port_state state)
{
	unsigned n = 1;
	while (n < SOCLE_EVENTS && e->ports[n].state != PORT_FREE)
		n++;
	if (n == SOCLE_EVENTS)
		return 0;
	e->ports[n] = (struct port){.state = (u8)state};
	struct socle_event_page *p = page_of(e);
	if (p)
		__atomic_fetch_and(&p->pending[n / 64], ~BIT(n % 64), __ATOMIC_SEQ_CST);
	return n;
}

static void lock_both(struct events *a, struct events *b)
{
	spin_lock(a < b ? &a->lock : &b->lock);
	spin_lock(a < b ? &b->lock : &a->lock);
}

/* The events of VM `id`, counted; NULL: there is no such VM, or it uses none. */
static struct events *events_of(u64 id, bool *exists)
{
	struct events *e = NULL;
	*exists = false;
	spin_lock(&vm_host.lock);
	list_for_each(node, &vm_host.vms)
	{
		struct vm *vm = list_entry(node, struct vm, node);
		if (vm->id != id)
			continue;
		*exists = true;
		e = vm->events ? events_get(vm->events) : NULL;
	}
	spin_unlock(&vm_host.lock);
	return e;
}

/* The other end of what was (peer, event, binding) is closed, if it still is the other end. */
static void peer_close(struct events *e, const struct port *was)
{
	struct events *peer = was->peer;
	struct port *q = &peer->ports[was->peer_event];
	bool still;
	spin_lock(&peer->lock);
	still = q->state == PORT_BOUND && q->binding == was->binding;
	if (still) {
		q->state = PORT_CLOSED;
		q->peer = NULL;
	}
	spin_unlock(&peer->lock);
	if (still)
		events_put(e);
	events_put(peer);
}

static i64 event_close(struct events *e, u64 n)
{
	struct port was = {0};
	i64 rc;
	spin_lock(&e->lock);
	struct port *p = port_in_use(e, n, &rc);
	if (p) {
		was = *p;
		*p = (struct port){.state = PORT_FREE};
	}
	spin_unlock(&e->lock);
	if (was.state == PORT_BOUND)
		peer_close(e, &was);
	return rc;
}

/* ---- life ---- */
static struct events *events_create(struct vm *vm)
{
	struct events *fresh = heap_alloc(sizeof(*fresh)), *e;
	if (!fresh)
		return NULL;
	fresh->refs = 1;
	fresh->vm = vm;
	spin_lock(&vm_host.lock);
	if (!vm->events) /* or another vCPU of the VM was faster */
		__atomic_store_n(&vm->events, fresh, __ATOMIC_RELEASE);
	e = vm->events;
	spin_unlock(&vm_host.lock);
	if (e != fresh)
		heap_free(fresh);
	return e;
}

static struct events *events_mine(struct vm *vm)
{
	return __atomic_load_n(&vm->events, __ATOMIC_ACQUIRE);
}

void vm_events_stop(struct vm *vm)
{
	struct events *e = events_mine(vm);
	if (!e)
		return;
	spin_lock(&e->lock);
	e->vm = NULL; /* nobody delivers or binds from now on */
	page_leave(&vm->guest.mem, e);
	spin_unlock(&e->lock);
	for (unsigned n = 1; n < SOCLE_EVENTS; n++)
		(void)event_close(e, n);
}

void vm_events_destroy(struct vm *vm)
{
	struct events *e;
	spin_lock(&vm_host.lock);
	e = vm->events;
	vm->events = NULL;
	spin_unlock(&vm_host.lock);
	events_put(e);
}

u64 vm_events_usage(const struct vm *vm)
{
	return heap_size(vm->events);
}

void vm_event_alarm(void *opaque, u32 number)
{
	struct vm *vm = opaque;
	struct events *e = events_mine(vm);
	if (!e || number >= SOCLE_EVENTS)
		return;
	spin_lock(&e->lock);
	if (e->ports[number].state == PORT_SELF)
		deliver(e, number);
	spin_unlock(&e->lock);
}

bool vm_event_is_own(struct vm *vm, u64 number)
{
	struct events *e = events_mine(vm);
	bool own = false;
	if (!e || number >= SOCLE_EVENTS)
		return false;
	spin_lock(&e->lock);
	own = e->ports[number].state == PORT_SELF;
	spin_unlock(&e->lock);
	return own;
}

/* ---- the calls ---- */
i64 call_vm_id(struct vm *vm, struct vcpu *v, const u64 *args)
{
	(void)v, (void)args;
	return vm->id;
}

i64 call_event_setup(struct vm *vm, struct vcpu *v, const u64 *args)
{
	gpa_t page = args[0];
	u64 vector = args[1];
	struct gmem_tlb tlb;
	void *host = NULL;
	(void)v;
	if (vector < HYPERCALL_VECTOR_FIRST || vector > HYPERCALL_VECTOR_LAST)
		return SOCLE_EINVAL;
	int rc = page == CLOCK_NOWHERE ? 0 : gmem_check(&vm->guest.mem, page, PAGE_SIZE, PAGE_SIZE);
	if (rc)
		return hypercall_error(rc);
	struct events *e = events_mine(vm);
	if (!e)
		e = events_create(vm);
	if (!e)
		return SOCLE_ENOMEM;
	if (page != CLOCK_NOWHERE) {
		gmem_tlb_reset(&tlb);
		rc = gmem_pin(&vm->guest.mem, &tlb, page, PAGE_SIZE, true, &host);
		if (rc)
			return rc == ERR_AGAIN ? SOCLE_EDQUOT : SOCLE_ENOMEM;
	}
	spin_lock(&e->lock);
	page_leave(&vm->guest.mem, e);
	e->page = host;
	e->vector = (u8)vector;
	spin_unlock(&e->lock);
	return 0;
}

i64 call_event_alloc(struct vm *vm, struct vcpu *v, const u64 *args)
{
	struct events *e = events_mine(vm);
	bool self = args[0] == SOCLE_SELF || args[0] == vm->id, exists = true;
	unsigned n;
	(void)v;
	if (!e)
		return SOCLE_ENXIO;
	if (!self)
		events_put(events_of(args[0], &exists));
	if (!exists)
		return SOCLE_ENOENT;
	spin_lock(&e->lock);
	n = port_take(e, self ? PORT_SELF : PORT_OFFERED);
	if (n)
		e->ports[n].peer_id = (u32)args[0];
	spin_unlock(&e->lock);
	return n ? (i64)n : SOCLE_ENOMEM;
}

/* With both locks. */
static i64 bind_ports(struct vm *vm, struct events *mine, struct events *other, u64 event)
{
	static u64 last_binding;
	const struct port *p = &other->ports[event];
	if (!other->vm || p->state != PORT_OFFERED || p->peer_id != vm->id)
		return SOCLE_ENOENT;
	unsigned n = port_take(mine, PORT_BOUND);
	if (!n)
		return SOCLE_ENOMEM;
	u64 binding = __atomic_add_fetch(&last_binding, 1, __ATOMIC_RELAXED);
	u8 vcpu = p->vcpu;
	mine->ports[n] = (struct port){
	    .state = PORT_BOUND, .peer_event = (u16)event, .binding = binding, .peer = events_get(other)};
	other->ports[event] = (struct port){.state = PORT_BOUND,
					    .vcpu = vcpu,
					    .peer_event = (u16)n,
					    .binding = binding,
					    .peer = events_get(mine)};
	return n;
}

i64 call_event_bind(struct vm *vm, struct vcpu *v, const u64 *args)
{
	struct events *mine = events_mine(vm), *other;
	bool exists;
	(void)v;
	if (!mine)
		return SOCLE_ENXIO;
	if (!args[1] || args[1] >= SOCLE_EVENTS)
		return SOCLE_EINVAL;
	other = events_of(args[0], &exists);
	i64 rc = SOCLE_ENOENT;
	if (other && other != mine) {
		lock_both(mine, other);
		rc = bind_ports(vm, mine, other, args[1]);
		spin_unlock(&other->lock);
		spin_unlock(&mine->lock);
	}
	events_put(other);
	return rc;
}

i64 call_event_close(struct vm *vm, struct vcpu *v, const u64 *args)
{
	struct events *e = events_mine(vm);
	(void)v;
	return e ? event_close(e, args[0]) : SOCLE_ENXIO;
}

static i64 send_to_peer(const struct port *p)
{
	struct events *peer = p->peer;
	const struct port *q = &peer->ports[p->peer_event];
	bool bound;
	spin_lock(&peer->lock);
	bound = peer->vm && q->state == PORT_BOUND && q->binding == p->binding;
	if (bound)
		deliver(peer, p->peer_event);
	spin_unlock(&peer->lock);
	events_put(peer);
	return bound ? 0 : SOCLE_ENOTCONN;
}

i64 call_event_send(struct vm *vm, struct vcpu *v, const u64 *args)
{
	struct events *e = events_mine(vm);
	struct port was = {0};
	i64 rc;
	(void)v;
	if (!e)
		return SOCLE_ENXIO;
	spin_lock(&e->lock);
	struct port *p = port_in_use(e, args[0], &rc);
	if (p)
		was = *p;
	if (was.state == PORT_SELF)
		deliver(e, (unsigned)args[0]);
	else if (was.state == PORT_BOUND)
		events_get(was.peer);
	else if (p)
		rc = SOCLE_ENOTCONN;
	spin_unlock(&e->lock);
	return was.state == PORT_BOUND ? send_to_peer(&was) : rc;
}

i64 call_event_unmask(struct vm *vm, struct vcpu *v, const u64 *args)
{
	struct events *e = events_mine(vm);
	u64 first = args[0], last = args[0];
	i64 rc = 0;
	(void)v;
	if (!e)
		return SOCLE_ENXIO;
	spin_lock(&e->lock);
	if (args[0] == SOCLE_EVENT_ALL) {
		first = 1;
		last = SOCLE_EVENTS - 1;
	} else {
		(void)port_in_use(e, args[0], &rc);
	}
	struct socle_event_page *p = rc ? NULL : page_of(e);
	for (u64 n = first; p && n <= last; n++) {
		__atomic_fetch_and(&p->mask[n / 64], ~BIT(n % 64), __ATOMIC_SEQ_CST);
		if (e->ports[n].state != PORT_FREE)
			upcall_if_pending(e, p, (unsigned)n);
	}
	spin_unlock(&e->lock);
	return rc;
}

i64 call_event_vcpu(struct vm *vm, struct vcpu *v, const u64 *args)
{
	struct events *e = events_mine(vm);
	i64 rc;
	(void)v;
	if (!e)
		return SOCLE_ENXIO;
	if (args[1] >= vm->guest.nr_vcpus)
		return SOCLE_EINVAL;
	spin_lock(&e->lock);
	struct port *p = port_in_use(e, args[0], &rc);
	if (p) {
		p->vcpu = (u8)args[1];
		struct socle_event_page *page = page_of(e);
		if (page)
			upcall_if_pending(e, page, (unsigned)args[0]);
	}
	spin_unlock(&e->lock);
	return rc;
}
