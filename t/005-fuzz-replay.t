# Every input that the fuzzers are known by, through the sanitized targets.

use strict;
use warnings;
use Test::More;

for my $corpus (sort glob 't/fuzz/corpus/*') {
    my ($name) = $corpus =~ m{([^/]+)$};
    my @inputs = glob "$corpus/*";
    cmp_ok(scalar @inputs, '>', 5, "$name has inputs");
    my $said = `build/fuzz/$name-replay $corpus 2>&1`;
    is($?, 0, "$name: all are survived") or diag substr $said, -4000;
    like($said, qr/^@{[ scalar @inputs ]} inputs$/m, '… every one of them');
}

done_testing;
