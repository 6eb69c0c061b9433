/* SPDX-License-Identifier: Apache-2.0 */
/* A treap: in order by (sector, sequence), and no request has one of higher priority below it. */
#include "block_tree.h"

static bool before(struct block_request *r, u64 sector, u64 sequence)
{
	u64 place = block_place(r);

	return place != sector ? place < sector : block_ticket(r)->sequence < sequence;
}

void block_tree_insert(struct block_request **root, struct block_request *r)
{
	struct block_ticket *t = block_ticket(r);
	struct block_request **at = root, **less = &t->left, **more = &t->right;
	u64 place = block_place(r);

	while (*at && block_ticket(*at)->priority >= t->priority)
		at = before(*at, place, t->sequence) ? &block_ticket(*at)->right : &block_ticket(*at)->left;
	/* What is below goes to its two sides. */
	struct block_request *rest = *at;
	*at = r;
	while (rest) {
		if (before(rest, place, t->sequence)) {
			*less = rest;
			less = &block_ticket(rest)->right;
			rest = *less;
		} else {
			*more = rest;
			more = &block_ticket(rest)->left;
			rest = *more;
		}
	}
	*less = *more = NULL;
}

void block_tree_remove(struct block_request **root, struct block_request *r)
{
	struct block_ticket *t = block_ticket(r);
	struct block_request **at = root, *less = t->left, *more = t->right;
	u64 place = block_place(r);

	while (*at != r)
		at = before(*at, place, t->sequence) ? &block_ticket(*at)->right : &block_ticket(*at)->left;
	/* Its two sides become one. */
	while (less && more) {
		if (block_ticket(less)->priority >= block_ticket(more)->priority) {
			*at = less;
			at = &block_ticket(less)->right;
			less = *at;
		} else {
			*at = more;
			at = &block_ticket(more)->left;
			more = *at;
		}
	}
	*at = less ? less : more;
}

struct block_request *block_tree_from(struct block_request *root, u64 sector, u64 sequence)
{
	struct block_request *found = NULL;

	while (root) {
		if (before(root, sector, sequence)) {
			root = block_ticket(root)->right;
		} else {
			found = root;
			root = block_ticket(root)->left;
		}
	}
	return found;
}
