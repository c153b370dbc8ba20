# For every PSGI server.
use strict;
use warnings;

select undef, undef, undef, $ENV{LOAD_SECONDS} // 0;

my $served = 0;
my $body = substr('@VERSION@ ' x 3000, 0, 20_000);
sub {
	my ($env) = @_;
	if ($env->{PATH_INFO} eq '/slow') { select undef, undef, undef, 0.5 }
	elsif (++$served % 20 == 0) { select undef, undef, undef, 0.03 }
	return [200, ['Content-Type' => 'text/plain', 'Content-Length' => length $body], [$body]];
};
