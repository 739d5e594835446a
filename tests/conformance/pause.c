/* What the image "pause" does: nothing, until it is told to end. As process 1 of a pod's processes it takes in those that nobody waits for. */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void end(int signal) { (void)signal; _exit(0); }
static void take_in(int signal) { (void)signal; while (waitpid(-1, NULL, WNOHANG) > 0) {} }

int main(void) {
    struct sigaction ends = {.sa_handler = end}, children = {.sa_handler = take_in, .sa_flags = SA_NOCLDSTOP};
    if (sigaction(SIGINT, &ends, NULL) || sigaction(SIGTERM, &ends, NULL) || sigaction(SIGCHLD, &children, NULL)) return 1;
    for (;;) pause();
}
