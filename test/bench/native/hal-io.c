/*
 * What hal-io.bench.ts compares with: the same ioctls as hal/linux makes, by a C program. `hal-io gpio|i2c|edges DEV COUNT`
 * prints nanoseconds, one number a line: a call's share of each batch, or the lateness of each edge.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/gpio.h>
#include <linux/i2c-dev.h>
#include <linux/i2c.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 1000 };

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static int open_node(const char *dev, const char *node) {
  char path[512];
  snprintf(path, sizeof path, "%s/%s", dev, node);
  int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) perror(path), exit(1);
  return fd;
}

static int request_line(const char *dev, uint32_t offset, uint64_t flags) {
  struct gpio_v2_line_request request = {.num_lines = 1, .offsets = {offset}, .config.flags = flags, .consumer = "bench"};
  int chip = open_node(dev, "gpiochip0");
  if (ioctl(chip, GPIO_V2_GET_LINE_IOCTL, &request)) perror("line"), exit(1);
  close(chip);
  return request.fd;
}

static void gpio(const char *dev, int count) {
  int fd = request_line(dev, 27, GPIO_V2_LINE_FLAG_OUTPUT);
  for (int batch = 0; batch < count; batch++) {
    int64_t start = now_ns();
    for (int n = 0; n < BATCH; n++) {
      struct gpio_v2_line_values values = {.bits = n & 1, .mask = 1};
      if (ioctl(fd, GPIO_V2_LINE_SET_VALUES_IOCTL, &values)) perror("write"), exit(1);
    }
    printf("%lld\n", (long long)(now_ns() - start) / BATCH);
  }
}

static void i2c(const char *dev, int count) {
  int fd = open_node(dev, "i2c-1");
  uint8_t reg = 5, answer[2];
  for (int batch = 0; batch < count; batch++) {
    int64_t start = now_ns();
    for (int n = 0; n < BATCH; n++) {
      struct i2c_msg messages[2] = {{.addr = 0x48, .len = 1, .buf = &reg},
                                    {.addr = 0x48, .flags = I2C_M_RD, .len = 2, .buf = answer}};
      struct i2c_rdwr_ioctl_data data = {messages, 2};
      if (ioctl(fd, I2C_RDWR, &data) != 2) perror("transfer"), exit(1);
    }
    printf("%lld\n", (long long)(now_ns() - start) / BATCH);
  }
}

static void edges(const char *dev, int count) {
  int fd = request_line(dev, 17, GPIO_V2_LINE_FLAG_INPUT | GPIO_V2_LINE_FLAG_EDGE_RISING | GPIO_V2_LINE_FLAG_EDGE_FALLING);
  for (int seen = 0; seen < count;) {
    struct pollfd wait = {fd, POLLIN, 0};
    struct gpio_v2_line_event events[64];
    if (poll(&wait, 1, 5000) <= 0) fprintf(stderr, "no edges\n"), exit(1);
    ssize_t bytes = read(fd, events, sizeof events);
    for (ssize_t n = 0; n < bytes / (ssize_t)sizeof *events; n++, seen++)
      printf("%lld\n", (long long)(now_ns() - (int64_t)events[n].timestamp_ns));
  }
}

int main(int count, char **words) {
  if (count != 4) return 2;
  if (!strcmp(words[1], "gpio")) gpio(words[2], atoi(words[3]));
  else if (!strcmp(words[1], "i2c")) i2c(words[2], atoi(words[3]));
  else edges(words[2], atoi(words[3]));
  return 0;
}
