# Mojolicious.
use Mojolicious::Lite -signatures;
use Mojo::IOLoop;

select undef, undef, undef, $ENV{LOAD_SECONDS} // 0;
my $served = 0;
my $body = substr('@VERSION@ ' x 3000, 0, 20_000);
get '/*any' => { any => '' } => sub ($c) {
	my $wait = $c->req->url->path eq '/slow' ? 0.5 : ++$served % 20 == 0 ? 0.03 : 0;
	return $c->render(data => $body, format => 'txt') unless $wait;
	$c->render_later;
	Mojo::IOLoop->timer($wait => sub { $c->render(data => $body, format => 'txt') });
};
app->log->level('warn');
app->start;
