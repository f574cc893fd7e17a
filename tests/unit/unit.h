// SPDX-License-Identifier: MIT
/*
 * Unit tests on the host.  TEST(name) { ... EXPECT(...); }: each test runs in a process of its own, so
 * that each boots a fresh kernel.  The program's arguments choose tests by name; no argument: all.
 * Include once per program; main() is here.
 */
#ifndef TESTS_UNIT_UNIT_H
#define TESTS_UNIT_UNIT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct unit_test {
    const char *name;
    void (*run)(void);
    struct unit_test *next;
};
static struct unit_test *unit_tests;
static unsigned unit_failures;
static unsigned long unit_expectations;

#define TEST(test_name)                                                           \
    static void test_##test_name(void);                                           \
    static struct unit_test entry_##test_name = { #test_name, test_##test_name, NULL }; \
    __attribute__((constructor)) static void add_##test_name(void)                \
    {                                                                             \
        entry_##test_name.next = unit_tests;                                      \
        unit_tests = &entry_##test_name;                                          \
    }                                                                             \
    static void test_##test_name(void)

#define EXPECT(what)                                                              \
    do {                                                                          \
        unit_expectations++;                                                      \
        if (!(what)) {                                                            \
            printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #what);             \
            if (++unit_failures > 10)                                             \
                exit(1);                                                          \
        }                                                                         \
    } while (0)

#define EXPECT_EQ(have, want)                                                     \
    do {                                                                          \
        unsigned long have_ = (unsigned long)(have), want_ = (unsigned long)(want); \
        unit_expectations++;                                                      \
        if (have_ != want_) {                                                     \
            printf("%s:%d: %s is 0x%lx, expected 0x%lx\n", __FILE__, __LINE__, #have, have_, want_); \
            if (++unit_failures > 10)                                             \
                exit(1);                                                          \
        }                                                                         \
    } while (0)

/* A number from argv "name=value", for soak runs; else the default. */
static int unit_argc;
static char **unit_argv;
__attribute__((unused)) static unsigned long unit_number(const char *name, unsigned long standard)
{
    size_t length = strlen(name);
    int i;

    for (i = 1; i < unit_argc; i++)
        if (!strncmp(unit_argv[i], name, length) && unit_argv[i][length] == '=')
            return strtoul(unit_argv[i] + length + 1, NULL, 0);
    return standard;
}

static bool unit_chosen(const struct unit_test *t)
{
    bool any = false;
    int i;

    for (i = 1; i < unit_argc; i++) {
        if (strchr(unit_argv[i], '='))
            continue;
        any = true;
        if (!strcmp(unit_argv[i], t->name))
            return true;
    }
    return !any;
}

int main(int argc, char **argv)
{
    unsigned run = 0, failed = 0;
    struct unit_test *t;

    unit_argc = argc;
    unit_argv = argv;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 2 && !strcmp(argv[1], "--list")) {
        for (t = unit_tests; t; t = t->next)
            puts(t->name);
        return 0;
    }
    for (t = unit_tests; t; t = t->next) {
        int status = 0;
        pid_t child;

        if (!unit_chosen(t))
            continue;
        run++;
        child = fork();
        if (child == 0) {
            t->run();
            if (!unit_expectations) {
                puts("the test expected nothing");
                exit(1);
            }
            exit(unit_failures ? 1 : 0);
        }
        if (child < 0 || waitpid(child, &status, 0) < 0 || status != 0) {
            failed++;
            if (WIFSIGNALED(status))
                printf("not ok %s (signal %d)\n", t->name, WTERMSIG(status));
            else
                printf("not ok %s\n", t->name);
        } else {
            printf("ok %s\n", t->name);
        }
    }
    printf("%u run, %u failed\n", run, failed);
    return run == 0 || failed ? 1 : 0;
}

#endif
