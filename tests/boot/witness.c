/* SPDX-License-Identifier: Apache-2.0 */
/* A UEFI application that starts \EFI\socle\socle.efi as firmware would, and when that comes back looks
 * whether the machine is as it was: memory, processor state, timer, disk. Then it powers off, by the
 * ports of Bochs and QEMU. Files in the root of the volume ask for more: LOCK locks VT-x off on the boot CPU
 * first, LOCKAPS on the others, HOG takes all memory but a few MiB. */
#include <efi.h>

#include "../../efi/mp_services.h"
#include "lib.h"
#include "x86.h"
#include "x86_ops.h"

#define TYPES EfiMaxMemoryType
#define ROUNDS 3 /* the first fills the firmware's caches; the others must leave no trace at all */
#define HOG_LEAVES (24u << 20 >> PAGE_SHIFT)

struct state {
	u64 pages[TYPES];
	u64 cr0, cr3, cr4, efer;
	u64 feature_control;
	struct desc_ptr gdt, idt;
};

static EFI_SYSTEM_TABLE *st;
static EFI_BOOT_SERVICES *bs;
static u8 map_buffer[64 << 10];

static void say(const char *fmt, ...) PRINTF(1, 2);
static void say(const char *fmt, ...)
{
	char text[200];
	CHAR16 wide[202];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	unsigned n = 0;
	for (const char *s = text; *s; s++)
		wide[n++] = (CHAR16)*s;
	wide[n++] = '\r';
	wide[n++] = '\n';
	wide[n] = 0;
	st->ConOut->OutputString(st->ConOut, wide);
}

__attribute__((noreturn)) static void power_off(void)
{
	while (!(inb(0x3fd) & 0x40)) /* COM1 is still sending */
		cpu_pause();
	for (;;) {
		outw(0xb004, 0x2000); /* Bochs */
		outw(0x604, 0x2000);  /* QEMU */
	}
}

__attribute__((noreturn)) static void fail(const char *what, u64 value)
{
	say("witness: FAILED: %s (0x%llx)", what, (unsigned long long)value);
	power_off();
}

static void look(struct state *s)
{
	UINTN size = sizeof(map_buffer), key, desc_size;
	u32 version;
	memset(s, 0, sizeof(*s));
	EFI_STATUS status =
	    bs->GetMemoryMap(&size, (EFI_MEMORY_DESCRIPTOR *)map_buffer, &key, &desc_size, &version);
	if (EFI_ERROR(status))
		fail("GetMemoryMap", status);
	for (UINTN at = 0; at < size; at += desc_size) {
		const EFI_MEMORY_DESCRIPTOR *d = (const EFI_MEMORY_DESCRIPTOR *)(map_buffer + at);
		if (d->Type < TYPES)
			s->pages[d->Type] += d->NumberOfPages;
	}
	s->cr0 = read_cr0();
	s->cr3 = read_cr3();
	s->cr4 = read_cr4();
	s->efer = rdmsr(MSR_EFER);
	if (cpuid(CPUID_LEAF_FEATURES, 0).ecx & CPUID1_ECX_VMX)
		s->feature_control = rdmsr(MSR_FEATURE_CONTROL);
	sgdt(&s->gdt);
	sidt(&s->idt);
}

static EFI_FILE_PROTOCOL *root_of(EFI_HANDLE device)
{
	static EFI_GUID guid = SIMPLE_FILE_SYSTEM_PROTOCOL;
	EFI_FILE_IO_INTERFACE *fs;
	EFI_FILE_PROTOCOL *root;
	if (EFI_ERROR(bs->HandleProtocol(device, &guid, (void **)&fs)) ||
	    EFI_ERROR(fs->OpenVolume(fs, &root)))
		fail("the boot volume", 0);
	return root;
}

static bool exists(EFI_FILE_PROTOCOL *root, CHAR16 *name)
{
	EFI_FILE_PROTOCOL *f;
	if (EFI_ERROR(root->Open(root, &f, name, EFI_FILE_MODE_READ, 0)))
		return false;
	f->Close(f);
	return true;
}

static void *read_whole(EFI_FILE_PROTOCOL *root, CHAR16 *name, UINTN *size)
{
	EFI_FILE_PROTOCOL *f;
	void *p;
	*size = 2 << 20;
	EFI_STATUS status = root->Open(root, &f, name, EFI_FILE_MODE_READ, 0);
	if (EFI_ERROR(status) || EFI_ERROR(bs->AllocatePool(EfiLoaderData, *size, &p)) ||
	    EFI_ERROR(f->Read(f, size, p)))
		fail("socle.efi cannot be read", status);
	f->Close(f);
	return p;
}

static void EFIAPI lock_here(void *opaque)
{
	(void)opaque;
	if (!(rdmsr(MSR_FEATURE_CONTROL) & FEATURE_CONTROL_LOCK))
		wrmsr(MSR_FEATURE_CONTROL, FEATURE_CONTROL_LOCK);
}

static void lock_others(void)
{
	static EFI_GUID guid = MP_SERVICES_GUID;
	struct mp_services *mp;
	if (EFI_ERROR(bs->LocateProtocol(&guid, NULL, (void **)&mp)))
		fail("no MP Services", 0);
	EFI_STATUS status = mp->startup_all_aps(mp, lock_here, FALSE, NULL, 0, NULL, NULL);
	if (EFI_ERROR(status))
		fail("StartupAllAPs", status);
}

/* Takes memory in pieces that halve, until little is left. */
static void hog(void)
{
	for (UINTN pages = (UINTN)1 << 20; pages >= HOG_LEAVES; pages /= 2) {
		EFI_PHYSICAL_ADDRESS pa;
		while (!EFI_ERROR(bs->AllocatePages(AllocateAnyPages, EfiBootServicesData, pages, &pa)))
			;
	}
}

static EFI_STATUS start_socle(EFI_HANDLE self, EFI_HANDLE device, void *image, UINTN size)
{
	static EFI_GUID guid = LOADED_IMAGE_PROTOCOL;
	EFI_HANDLE child = NULL;
	EFI_LOADED_IMAGE *info;
	EFI_STATUS status = bs->LoadImage(FALSE, self, NULL, image, size, &child);
	if (EFI_ERROR(status) || EFI_ERROR(bs->HandleProtocol(child, &guid, (void **)&info)))
		fail("LoadImage", status);
	info->DeviceHandle = device; /* as if loaded from there */
	return bs->StartImage(child, NULL, NULL);
}

/* Interrupts and the timer still work: without them this waits for ever. */
static void check_timer(void)
{
	EFI_EVENT event;
	UINTN index;
	if (EFI_ERROR(bs->CreateEvent(EVT_TIMER, 0, NULL, NULL, &event)) ||
	    EFI_ERROR(bs->SetTimer(event, TimerRelative, 100000)) ||
	    EFI_ERROR(bs->WaitForEvent(1, &event, &index)))
		fail("the timer", 0);
	bs->CloseEvent(event);
}

static void compare(const struct state *a, const struct state *b)
{
	for (unsigned i = 0; i < TYPES; i++)
		if (a->pages[i] != b->pages[i])
			fail("pages in use differ, type and difference",
			     (u64)i << 32 | (u32)(b->pages[i] - a->pages[i]));
	if (memcmp(&a->cr0, &b->cr0, sizeof(*a) - offsetof(struct state, cr0)) != 0)
		fail("processor state differs, CR0 CR4", a->cr0 ^ b->cr0 ^ a->cr4 ^ b->cr4);
}

EFI_STATUS efi_main(EFI_HANDLE self, EFI_SYSTEM_TABLE *table);
EFI_STATUS efi_main(EFI_HANDLE self, EFI_SYSTEM_TABLE *table)
{
	static EFI_GUID guid = LOADED_IMAGE_PROTOCOL;
	static struct state before, after;
	EFI_LOADED_IMAGE *me;
	UINTN size;
	st = table;
	bs = st->BootServices;
	if (EFI_ERROR(bs->HandleProtocol(self, &guid, (void **)&me)))
		fail("loaded image", 0);
	EFI_FILE_PROTOCOL *root = root_of(me->DeviceHandle);
	void *image = read_whole(root, u"\\EFI\\socle\\socle.efi", &size);
	if (exists(root, u"\\LOCK"))
		lock_here(NULL);
	if (exists(root, u"\\LOCKAPS"))
		lock_others();
	if (exists(root, u"\\HOG"))
		hog();
	for (unsigned round = 0; round < ROUNDS; round++) {
		look(&before);
		EFI_STATUS status = start_socle(self, me->DeviceHandle, image, size);
		say("witness: Socle came back with status %llu", (unsigned long long)(status & 0xff));
		look(&after);
		if (round)
			compare(&before, &after);
	}
	check_timer();
	if (!exists(root, u"\\EFI\\socle\\socle.efi"))
		fail("the disk", 0);
	say("witness: unharmed");
	power_off();
}
