/**
 * Links as the router's benchmark knows them. The rates were recorded by others, once a second for 100 s, by a person who
 * walked about a university's campus (Multipath Wireless Link Traces, Stony Brook University, 2022; demonstrated at the INFOCOM
 * workshop CNERT 2023; https://github.com/yguruprasad/Multipath-Wireless-Link-Traces, paths 11, 13, 7 and 8), and are given here
 * in kB/s, rounded to 10. What was not recorded is made up from what is published of such links, and said where it stands.
 */

export interface LinkTrace {
  readonly name: string
  /** kB/s in each second; at 0 nothing moves. Recorded as received, taken here for both ways. */
  readonly rates: readonly number[]
  /** Made up: round trip of a small message without a queue, milliseconds; and how far it strays, as a share. */
  readonly rttMs: number
  readonly jitter: number
  /**
   * Made up: share of messages that lose a packet, which costs a retransmission timeout (RFC 6298; 200 ms at least on Linux).
   * Radio links repeat by themselves, so little of it is left on a good one.
   */
  readonly loss: number
}

const kBPerS = (text: string) => text.split(' ').map(Number)

export const linkTraces: readonly LinkTrace[] = [
  {
    name: 'wifi-good',
    rttMs: 4,
    jitter: 0.5,
    loss: 0.002,
    rates: kBPerS(
      '5430 6700 6320 6140 6260 6500 6390 6400 6180 6520 7110 6510 6430 6310 6230 6250 6160 6650 5960 5650 5960 6300 5750 5540 5460 5900 6160 6170 5990 6700 6140 6310 5970 6490 6490 4930 5350 4990 4810 4730 4360 4540 4310 4800 6040 4860 5320 4730 4750 5200 4810 4180 4460 4750 4720 5040 4700 5370 4980 4710 3960 5350 5150 4470 5130 4970 4860 4650 4220 4140 2210 990 1220 900 4360 2490 2260 2040 2400 1870 5830 7450 7280 7770 7200 7830 7040 6570 7250 7600 7070 7740 6410 6960 6480 8110 7490 7630 7690 7540',
    ),
  },
  {
    // Into the basement of a building.
    name: '4g',
    rttMs: 50,
    jitter: 0.4,
    loss: 0.005,
    rates: kBPerS(
      '780 1430 1820 4540 3550 1110 3570 2560 2260 2350 2730 2050 1860 2490 1000 1290 2430 1080 2020 2720 2440 2350 1320 1750 2120 2210 2280 1710 1350 2340 1950 1740 1890 600 1160 1180 620 810 810 810 970 950 610 650 940 690 880 1190 1280 350 630 240 230 160 150 170 660 1050 1040 1180 1260 1290 1400 1510 1610 2130 2330 2430 1880 1800 730 640 1260 1590 1480 1020 1340 570 350 440 510 400 590 360 330 450 530 490 360 260 190 90 160 220 190 170 140 150 40 80',
    ),
  },
  {
    // Away from the access point.
    name: 'wifi-lossy',
    rttMs: 8,
    jitter: 1,
    loss: 0.08,
    rates: kBPerS(
      '5470 6400 6040 6220 6140 6220 7190 6190 6090 5870 6030 6610 6650 6560 5830 5930 5890 4780 5570 5440 5610 5360 5440 5200 5270 5640 5290 5640 5550 5670 6430 5790 5640 4810 4400 4900 5780 5570 5580 4530 3780 3660 3620 1940 2760 2130 1300 1210 400 370 0 30 1670 830 1470 600 1920 2500 3360 5630 2900 3610 4230 2890 0 4460 4430 4660 4090 3950 3610 3830 3260 2540 2590 2580 2940 3350 3160 2330 2410 1590 2170 3020 2480 1230 550 1710 2950 3240 3300 2930 2510 3910 3520 1910 2050 2490 1650 1210',
    ),
  },
  {
    // Out of reach of it for a third of the time.
    name: 'wifi-outage',
    rttMs: 6,
    jitter: 0.6,
    loss: 0.01,
    rates: kBPerS(
      '2870 2650 2540 2410 2830 2860 2570 3820 3340 2800 2790 2720 2060 2940 3670 3520 4360 6250 5410 4320 5690 5330 4940 4920 5150 5350 4440 4110 5520 6360 6180 5450 6320 2730 0 0 870 4050 4310 4580 4160 5270 5860 5800 3550 3480 2820 2360 1880 2110 520 0 0 380 0 0 0 340 0 0 100 100 0 0 0 0 0 840 1540 2480 5620 6750 6730 7040 7730 6060 7840 7110 7570 9520 10080 8700 7520 7250 6450 0 5950 6330 3430 3210 6240 2370 8130 6990 2700 0 0 0 0 2000',
    ),
  },
]
